//! What a cut takes and what it leaves, and that a missing sync is found by it.

use crate::watched_calls::{careless, lay_out};
use mainstay_testkit::image::{Cut, Image, Kind};
use mainstay_testkit::tracer::{Ending, Fault, IS_SUPPORTED, Plan};
use mainstay_testkit::workloads::WRONG;
use std::fs::{self, File};
use std::io::Write;
use tempfile::TempDir;

/// An image, or a word about why there is none.
fn image(folder: &TempDir, kind: Kind) -> Option<Image> {
    Image::make(folder.path(), "disk", kind)
        .inspect_err(|error| println!("NOT MEASURED: {error:#}"))
        .ok()
}

#[test]
fn a_cut_keeps_what_was_synced_and_takes_what_was_not() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let folder = TempDir::new().unwrap();
        let Some(mut disk) = image(&folder, kind) else {
            return;
        };
        for cut in [Cut::Nothing, Cut::Journal] {
            let path = |name: &str| disk.path().join(format!("{name}-{cut:?}"));
            let (kept, lost) = (path("kept"), path("lost"));
            fs::write(&kept, "kept").unwrap();
            File::open(&kept).unwrap().sync_all().unwrap();
            File::open(disk.path()).unwrap().sync_all().unwrap();
            fs::write(&lost, "lost").unwrap();
            disk.cut(cut).unwrap();
            let dead = File::options().append(true).open(&kept);
            let written = dead.and_then(|mut file| file.write_all(b"more"));
            assert!(written.is_err(), "nothing can be written");
            disk.remount().unwrap();
            assert_eq!(fs::read(&kept).unwrap(), b"kept", "{kind:?} {cut:?}");
            let left = fs::read(&lost).unwrap_or_default();
            assert_eq!(left, b"", "{kind:?} {cut:?}");
            assert_eq!(lost.exists(), cut == Cut::Journal, "{kind:?} {cut:?}");
        }
    }
}

#[test]
fn a_program_that_forgets_to_sync_a_folder_is_caught() {
    let folder = TempDir::new().unwrap();
    let notes = TempDir::new().unwrap();
    let Some(mut disk) = image(&folder, Kind::Ext4) else {
        return;
    };
    if !IS_SUPPORTED {
        println!("NOT MEASURED: the registers of this machine are not known");
        return;
    }
    let mut caught = 0;
    for at in 1.. {
        let place = disk.path().join(at.to_string());
        lay_out(&place);
        mainstay_files::replace(&place.join("near/files/state.json"), &original()).unwrap();
        let plan = Plan {
            at,
            fault: Fault::PowerOff,
        };
        let (seen, _) = careless("run", &place, notes.path(), Some(plan), &mut || {
            disk.cut(Cut::Nothing)
        });
        if seen.hit.is_none() {
            break;
        }
        disk.remount().unwrap();
        let (checked, told) = careless("check", &place, notes.path(), None, &mut || Ok(()));
        assert!(
            matches!(checked.ending, Ending::Exited(0 | WRONG)),
            "{checked:?} {told}"
        );
        caught += u64::from(checked.ending == Ending::Exited(WRONG));
    }
    // Each of the two later versions is begun while the one before, which was said to be there, is not.
    assert!(2 <= caught, "caught {caught} times");
}

/// The content that the file has before anybody replaces it.
fn original() -> Vec<u8> {
    mainstay_testkit::workloads::content("state", 0, 100)
}
