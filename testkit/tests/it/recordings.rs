//! What a recording sees of a disk, and that the campaign finds what is broken.

use mainstay_testkit::image::Kind;
use mainstay_testkit::recorded::{Event, RecordedDisks, Recording};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Recorded disks, or a word about why there are none.
fn disks(folder: &Path) -> Option<RecordedDisks> {
    RecordedDisks::make(folder, Kind::Ext4)
        .inspect_err(|error| println!("NOT MEASURED: {error:#}"))
        .ok()
}

/// The place of the first event like this.
fn first(recording: &Recording, is_it: impl Fn(&Event) -> bool) -> Option<usize> {
    recording.events.iter().position(is_it)
}

fn writes(event: &Event, wanted: &[u8]) -> bool {
    let contains = |bytes: &[u8]| bytes.windows(wanted.len()).any(|part| part == wanted);
    matches!(event, Event::Write { disk: 0, bytes, .. } if contains(bytes))
}

fn says(event: &Event, wanted: &str) -> bool {
    matches!(event, Event::Said(text) if text == wanted)
}

#[test]
fn what_is_said_after_a_sync_stands_behind_the_flush_that_covers_it() {
    let folder = TempDir::new().unwrap();
    let Some(disks) = disks(folder.path()) else {
        return;
    };
    let recording = disks.begin().unwrap();
    let mut said = disks.said().unwrap();
    said.write_all(b"begun\n").unwrap();
    let mut file = File::create(disks.path(0).join("file")).unwrap();
    file.write_all(b"these very bytes").unwrap();
    file.sync_all().unwrap();
    said.write_all(b"synced\n").unwrap();
    fs::write(disks.path(0).join("other"), "these stay in memory").unwrap();
    said.write_all(b"done\n").unwrap();
    let recording = disks.end(recording).unwrap();
    let place = |is_it: &dyn Fn(&Event) -> bool| first(&recording, is_it).unwrap();
    let (begun, written) = (
        place(&|event| says(event, "begun\n")),
        place(&|event| writes(event, b"these very bytes")),
    );
    let (synced, done) = (
        place(&|event| says(event, "synced\n")),
        place(&|event| says(event, "done\n")),
    );
    let is_flush = |event: &Event| matches!(event, Event::Flush { disk: 0 });
    let last_flush = recording.events[..synced].iter().rposition(is_flush);
    assert!(begun < written && Some(written) < last_flush && synced < done);
    assert_eq!(recording.said_before(done), "begun\nsynced\n");
    let never = first(&recording, |event| writes(event, b"these stay in memory"));
    assert_eq!(never, None, "nobody asked for them to be written");
}

#[test]
fn a_recording_begins_with_all_that_was_written_before() {
    let folder = TempDir::new().unwrap();
    let Some(disks) = disks(folder.path()) else {
        return;
    };
    fs::write(disks.path(1).join("file"), "written before").unwrap();
    let recording = disks.begin().unwrap();
    let far = &recording.before[1];
    let bytes = far.read(0, far.len() as usize);
    assert!(bytes.windows(14).any(|part| part == b"written before"));
    assert!(disks.end(recording).unwrap().events.is_empty());
}

#[test]
fn nothing_is_left_mounted_when_recorded_disks_go() {
    let folder = TempDir::new().unwrap();
    let Some(disks) = disks(folder.path()) else {
        return;
    };
    let mounted = || {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let here = folder.path().display().to_string();
        mounts.lines().filter(|line| line.contains(&here)).count()
    };
    assert_eq!(mounted(), 3, "two disks, and what serves them");
    drop(disks);
    assert_eq!(mounted(), 0);
}
