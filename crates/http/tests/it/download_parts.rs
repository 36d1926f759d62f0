//! H6: a download goes on in another process from what is whole and of the same version, and from nothing else.

use crate::support::{Place, client, resumed_at, served, server, settings, soon};
use mainstay_http::{Algorithm, Checksum, Download, ErrorKind};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BLOCK: usize = 1 << 20;

/// Nothing of it repeats in the same place of a block.
fn file(seed: usize) -> Vec<u8> {
    let length = 3 * BLOCK + 500_000;
    (0..length)
        .map(|at| (at * 7 + at / 251 + seed) as u8)
        .collect()
}

fn how() -> Download {
    Download {
        keeps_parts: true,
        ..Download::default()
    }
}

/// The head and more than two blocks; then silence.
fn stalling(file: &[u8], tag: &str) -> Reaction {
    let head = format!(
        "HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {}\r\n\r\n",
        file.len()
    );
    Reaction::RawThenHang([head.as_bytes(), &file[..2 * BLOCK + 700_000]].concat())
}

/// Stalls the first, and serves all others with what `second` says.
async fn stalls_once(second: usize, tag: &'static str) -> FaultyServer {
    server(move |request, number| match number {
        0 => stalling(&file(0), "\"1\""),
        _ => served(request, &file(second), tag, usize::MAX),
    })
    .await
}

/// A download that is left off, and goes on.
impl Place {
    fn part(&self, name: &str) -> PathBuf {
        self.folder.path().join("file.bin.parts").join(name)
    }

    /// Everything in the folder but for what a process that was killed left, which is swept.
    fn swept(&self) -> Vec<String> {
        mainstay_files::sweep(self.folder.path()).unwrap();
        self.names()
    }

    /// Waits for the second block.
    async fn until_two_are_there(&self) {
        let there = async {
            while !self.part("000001").exists() {
                tokio::task::yield_now().await;
            }
        };
        soon("the second block", there).await;
    }

    /// Begins to download, and gives up after two blocks.
    async fn give_up(&self, url: &str) {
        let client = client(settings());
        tokio::select! {
            done = client.download(url, &self.path, how()) => panic!("{done:?}"),
            () = self.until_two_are_there() => {}
        }
    }

    /// Downloads all of it, and compares it.
    async fn complete(&self, server: &FaultyServer, path: &str, expected: &[u8]) -> Request {
        let client = client(settings());
        let done = soon("it", client.download(&server.url(path), &self.path, how())).await;
        assert_eq!(
            done.unwrap().checksum,
            Checksum::of(Algorithm::Sha256, expected)
        );
        assert!(std::fs::read(&self.path).unwrap() == expected);
        assert_eq!(self.swept(), ["file.bin"]);
        server.conversation().requests().last().unwrap().clone()
    }
}

/// A child of the test below: its further words are no names of tests.
fn child() -> Option<(String, PathBuf)> {
    let mut words = std::env::args().skip_while(|word| !word.starts_with("http://"));
    Some((words.next()?, words.next()?.into()))
}

async fn download_in_child(url: &str, path: &Path) {
    let done = client(settings()).download(url, path, how()).await;
    panic!("it was to be killed: {done:?}");
}

#[tokio::test]
async fn what_came_before_a_kill_is_not_asked_for_again() {
    if let Some((url, path)) = child() {
        return download_in_child(&url, &path).await;
    }
    let (place, server) = (Place::new(), stalls_once(0, "\"1\"").await);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "download_parts::what_came_before_a_kill_is_not_asked_for_again",
        ])
        .arg(server.url("/file"))
        .arg(&place.path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    place.until_two_are_there().await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path.exists());
    let asked = place.complete(&server, "/file", &file(0)).await;
    assert_eq!(resumed_at(&asked), Some(2 * BLOCK));
    assert_eq!(asked.header("if-range"), Some("\"1\""));
}

#[tokio::test]
async fn what_changed_since_comes_whole_in_its_new_version() {
    let (place, server) = (Place::new(), stalls_once(99, "\"2\"").await);
    place.give_up(&server.url("/file")).await;
    let asked = place.complete(&server, "/file", &file(99)).await;
    assert_eq!(asked.header("if-range"), Some("\"1\""));
}

#[tokio::test]
async fn of_what_is_damaged_or_anothers_nothing_is_taken() {
    type Harm = fn(&Place);
    let cases: [(Harm, &str, Option<usize>); 5] = [
        (|_| (), "/file", Some(2 * BLOCK)),
        (|place| flip(&place.part("000001")), "/file", Some(BLOCK)),
        (|place| flip(&place.part("000000")), "/file", None),
        (|place| flip(&place.part("head")), "/file", None),
        // The same place, and another address.
        (|_| (), "/other", None),
    ];
    for (number, (harm, path, expected)) in cases.into_iter().enumerate() {
        let (place, server) = (Place::new(), stalls_once(0, "\"1\"").await);
        place.give_up(&server.url("/file")).await;
        harm(&place);
        let asked = place.complete(&server, path, &file(0)).await;
        assert_eq!(resumed_at(&asked), expected, "{number}");
    }
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    mainstay_files::replace(path, &bytes).unwrap();
}

#[tokio::test]
async fn of_two_downloads_to_one_place_the_second_is_told() {
    let (place, server) = (Place::new(), stalls_once(0, "\"1\"").await);
    let (first, second) = (client(settings()), client(settings()));
    let url = server.url("/file");
    let refused = tokio::select! {
        done = first.download(&url, &place.path, how()) => panic!("{done:?}"),
        refused = async {
            place.until_two_are_there().await;
            second.download(&url, &place.path, how()).await
        } => refused.unwrap_err(),
    };
    assert_eq!(refused.kind(), ErrorKind::File);
    assert!(refused.to_string().contains("already"), "{refused}");
    place.complete(&server, "/file", &file(0)).await;
}

#[tokio::test]
async fn of_what_is_not_what_was_expected_nothing_is_kept() {
    let (place, server) = (Place::new(), stalls_once(0, "\"1\"").await);
    place.give_up(&server.url("/file")).await;
    let wrong = Download {
        checksum: Some(Checksum::of(Algorithm::Sha256, b"other")),
        ..how()
    };
    let client = client(settings());
    let done = client
        .download(&server.url("/file"), &place.path, wrong)
        .await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Mismatch);
    assert!(place.swept().is_empty(), "{:?}", place.names());
}
