use super::reading::PIECE;
use super::*;
use crate::destination::DAMAGED;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};

fn clock() -> SharedClock {
    mainstay_clock::system()
}

fn hash_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn file_with(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// A few pieces, and none of them full at the end.
fn large() -> Vec<u8> {
    (0..5 * PIECE + 17)
        .map(|index| (index * 31 % 251) as u8)
        .collect()
}

/// All that a server would get, and whether it would get the end.
async fn sent(mut body: Outbound) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}

fn decoded(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut plain = Vec::new();
    match compression {
        Compression::None => plain.extend_from_slice(bytes),
        Compression::Gzip => drop(
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut plain)
                .unwrap(),
        ),
        Compression::Zstd => plain = zstd::decode_all(bytes).unwrap(),
    }
    plain
}

#[tokio::test]
async fn a_file_arrives_byte_for_byte_in_every_coding() {
    for bytes in [large(), vec![7; PIECE], b"x".to_vec(), Vec::new()] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let len = bytes.len() as u64;
            let (body, trace) = Outbound::file(
                file_with(&bytes),
                len,
                Some(hash_of(&bytes)),
                compression,
                &clock(),
            );
            let exact = (compression == Compression::None).then_some(len);
            assert_eq!(body.size_hint().exact(), exact);
            let (wire, ended) = sent(body).await;
            assert!(ended && trace.is_whole());
            assert_eq!(decoded(&wire, compression), bytes, "{compression:?}");
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_never_sent_to_its_end() {
    let good = large();
    for position in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let (body, trace) = Outbound::file(
                file_with(&bad),
                bad.len() as u64,
                Some(hash_of(&good)),
                compression,
                &clock(),
            );
            let (wire, ended) = sent(body).await;
            assert!(!ended && !trace.is_whole(), "{compression:?}");
            assert!(compression != Compression::None || wire.len() < bad.len());
            assert!(matches!(trace.fault(), Some(Fault::Damaged(_))));
        }
    }
}

#[tokio::test]
async fn a_file_that_became_shorter_is_damage_and_one_that_grew_is_cut_where_it_was() {
    let bytes = large();
    let (body, trace) = Outbound::file(
        file_with(&bytes),
        bytes.len() as u64 + 1,
        None,
        Compression::None,
        &clock(),
    );
    assert!(!sent(body).await.1);
    assert!(matches!(trace.fault(), Some(Fault::Damaged(reason)) if reason.contains("shorter")));

    let stored = bytes.len() - 5;
    let (body, trace) = Outbound::file(
        file_with(&bytes),
        stored as u64,
        Some(hash_of(&bytes[..stored])),
        Compression::None,
        &clock(),
    );
    assert_eq!(sent(body).await, (bytes[..stored].to_vec(), true));
    assert!(trace.is_whole());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_tried_again_later() {
    let folder = File::open(std::env::temp_dir()).unwrap();
    let (body, trace) = Outbound::file(folder, 10, None, Compression::None, &clock());
    assert!(!sent(body).await.1);
    assert!(
        matches!(trace.fault(), Some(Fault::Unreadable(_))),
        "{:?}",
        trace.fault()
    );
}

#[tokio::test]
async fn an_abandoned_body_ends_its_reading_thread() {
    let bytes = vec![1; 100 * PIECE];
    let (sender, receiver) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || {
        read_out(
            file_with(&bytes),
            bytes.len() as u64,
            None,
            Compression::None,
            &sender,
        )
    });
    drop(receiver);
    assert_eq!(reading.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_body_in_memory_is_whole_once_it_was_taken() {
    let (body, trace) = Outbound::memory(Bytes::from_static(b"abc"), &clock());
    assert!(!trace.is_whole());
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(sent(body).await, (b"abc".to_vec(), true));
    assert!(trace.is_whole());
    assert!(Outbound::memory(Bytes::new(), &clock()).1.is_whole());
}

#[test]
fn a_damaged_body_in_memory_is_not_sent_at_all() {
    let result = encoded(
        Bytes::from_static(b"abd"),
        Some(hash_of(b"abc")),
        Compression::Gzip,
    );
    assert_eq!(result, Err(Fault::Damaged(DAMAGED.to_owned())));
}

#[test]
fn compression_is_used_only_where_it_saves_something() {
    let long = Bytes::from(vec![b'a'; 10_000]);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (wire, name) = encoded(long.clone(), Some(hash_of(&long)), compression).unwrap();
        assert_eq!(name, coding(compression));
        assert!(wire.len() < 200);
        assert_eq!(decoded(&wire, compression), long);
        let short = Bytes::from_static(b"ab");
        assert_eq!(
            encoded(short.clone(), None, compression).unwrap(),
            (short, None)
        );
    }
    assert_eq!(
        encoded(long.clone(), None, Compression::None).unwrap(),
        (long, None)
    );
}
