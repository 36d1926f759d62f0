//! The names of the lanes, a second time: where a record of the log rots that says one, its documents do not wait under no
//! name for ever.
//!
//! ```text
//!  0  magic     8  "MNSTYLNS"
//!  8  version   4
//! 12  secret   16
//! 28  lanes     4, then LANE payloads behind their length (2)
//!     crc       4  CRC-32C of all before it, started from the seed of segment 0
//! ```

use crate::disk::{Disk, Folder};
use crate::document::LaneInfo;
use crate::frame::SegmentKey;
use crate::limits::LANES_MAX;
use crate::record::{self, Kind, Record};
use crate::segment::FORMAT_VERSION;
use crate::wire::{Malformed, Put, Reader};
use std::io;

pub(crate) const LANES_FILE: &str = "lanes";
const NEW_FILE: &str = "lanes.new";
const MAGIC: &[u8; 8] = b"MNSTYLNS";

/// More bytes than all lanes take with names as long as they may be.
const FILE_MAX: u64 = 1024 * 1024;

/// What the file says.
#[derive(Debug)]
pub(crate) enum Names {
    Missing,
    Unreadable,
    Known(Vec<LaneInfo>),
}

/// Reads the names.
pub(crate) fn read(disk: &dyn Disk, secret: &[u8; 16]) -> io::Result<Names> {
    let Some(bytes) = content(disk)? else {
        return Ok(Names::Missing);
    };
    Ok(decode(&bytes, secret).map_or(Names::Unreadable, Names::Known))
}

/// Brings the names to the disk, unless it has these already; those before stay until then.
pub(crate) fn keep(disk: &dyn Disk, secret: &[u8; 16], lanes: &[LaneInfo]) -> io::Result<()> {
    let wanted = encode(secret, lanes);
    let there = content(disk)?;
    if there.as_ref() == Some(&wanted) || there.is_none() && lanes.is_empty() {
        return Ok(());
    }
    match disk.remove(Folder::Root, NEW_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(Folder::Root, NEW_FILE)?;
    file.write_at(&wanted, 0)?;
    file.sync()?;
    drop(file);
    disk.rename(Folder::Root, NEW_FILE, LANES_FILE)?;
    disk.sync_folder(Folder::Root)
}

fn content(disk: &dyn Disk) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(Folder::Root, LANES_FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; file.len()?.min(FILE_MAX) as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

fn encode(secret: &[u8; 16], lanes: &[LaneInfo]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put(MAGIC);
    out.put_u32(FORMAT_VERSION);
    out.put(secret);
    out.put_u32(lanes.len() as u32);
    for lane in lanes {
        out.put_short_bytes(&record::encode_lane(lane.id, &lane.name));
    }
    let crc = SegmentKey::new(secret, 0).crc(&out);
    out.put_u32(crc);
    out
}

fn decode(bytes: &[u8], secret: &[u8; 16]) -> Result<Vec<LaneInfo>, Malformed> {
    let (said, crc) = bytes.split_last_chunk::<4>().ok_or(Malformed)?;
    if u32::from_le_bytes(*crc) != SegmentKey::new(secret, 0).crc(said) {
        return Err(Malformed);
    }
    let mut reader = Reader::new(said);
    if reader.array::<8>()? != *MAGIC
        || reader.u32()? != FORMAT_VERSION
        || reader.array::<16>()? != *secret
    {
        return Err(Malformed);
    }
    let count = reader.u32()?;
    if LANES_MAX < count as usize {
        return Err(Malformed);
    }
    let mut lanes = Vec::new();
    for _ in 0..count {
        let Record::Lane { lane, name } = record::decode(Kind::Lane, reader.short_bytes()?)? else {
            return Err(Malformed);
        };
        lanes.push(LaneInfo {
            id: lane,
            name: name.to_owned(),
        });
    }
    reader.finish()?;
    Ok(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::cut::CutDisk;
    use crate::document::LaneId;

    const SECRET: [u8; 16] = [7; 16];

    fn lane(number: u16, name: &str) -> LaneInfo {
        LaneInfo {
            id: LaneId(number),
            name: name.to_owned(),
        }
    }

    fn known(disk: &CutDisk) -> Vec<LaneInfo> {
        match read(disk, &SECRET).unwrap() {
            Names::Known(lanes) => lanes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_names_that_were_kept_are_there_after_a_power_cut() {
        let disk = CutDisk::new();
        let (first, second) = (lane(0, "reports/http"), lane(1, "reports/folder"));
        keep(&disk, &SECRET, std::slice::from_ref(&first)).unwrap();
        disk.cut();
        assert_eq!(known(&disk), std::slice::from_ref(&first));
        let both = [first, second];
        keep(&disk, &SECRET, &both).unwrap();
        disk.cut();
        assert_eq!(known(&disk), both);
    }

    #[test]
    fn a_file_that_says_more_lanes_than_a_queue_may_have_is_not_believed() {
        let lanes = |count| vec![lane(0, "reports/http"); count];
        let most = encode(&SECRET, &lanes(LANES_MAX));
        assert_eq!(decode(&most, &SECRET), Ok(lanes(LANES_MAX)));
        let more = encode(&SECRET, &lanes(LANES_MAX + 1));
        assert_eq!(decode(&more, &SECRET), Err(Malformed));
    }

    #[test]
    fn no_more_is_read_of_a_file_of_any_length_than_the_lanes_may_take() {
        let disk = CutDisk::new();
        let file = disk.create(Folder::Root, LANES_FILE).unwrap();
        file.set_len(16 * FILE_MAX).unwrap();
        let read = content(&disk).unwrap().unwrap();
        assert_eq!(read.len() as u64, FILE_MAX);
    }

    #[test]
    fn the_names_of_format_1_are_read_and_written_for_ever() {
        let golden = include_bytes!("../tests/golden/v1/lanes");
        let format = include_str!("../tests/golden/v1/killed/FORMAT");
        let (_, secret) = crate::format::parse_format(format).unwrap();
        let lanes = [lane(0, "reports/http"), lane(1, "reports/folder")];
        assert_eq!(decode(golden, &secret).unwrap(), lanes);
        assert_eq!(encode(&secret, &lanes), golden);
    }

    #[test]
    fn no_flipped_bit_makes_another_name() {
        let lanes = vec![LaneInfo {
            id: LaneId(3),
            name: "reports/http".to_owned(),
        }];
        let bytes = encode(&[7; 16], &lanes);
        assert_eq!(decode(&bytes, &[7; 16]), Ok(lanes));
        assert!(decode(&bytes, &[8; 16]).is_err(), "of another queue");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, &[7; 16]).is_err(), "bit {bit}");
        }
    }
}
