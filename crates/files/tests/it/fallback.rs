//! The first place that will do is taken, and why the others will not is told.

use crate::tmpfs::Tmpfs;
use mainstay_files::{ErrorKind, Needs, Space, Unfit, first_fit};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn needs(bytes: u64) -> Needs {
    Needs {
        room: Space { bytes, inodes: 1 },
        is_network_fine: true,
    }
}

#[test]
fn the_first_that_will_do_is_chosen_and_those_before_it_are_told_with_their_reasons() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    // The kernel's own folder takes nothing, not even from root.
    let wishes = [
        PathBuf::from("/proc/mainstay"),
        file.clone(),
        root.path().join("a/b"),
        root.path().join("c"),
    ];
    let chosen = first_fit(&wishes, &needs(1)).unwrap();
    assert_eq!(chosen.path, root.path().join("a/b"));
    let whys: Vec<&Unfit> = chosen.refused.iter().map(|refused| &refused.why).collect();
    assert!(
        matches!(whys[..], [Unfit::Unwritable(_), Unfit::NotAFolder]),
        "{whys:?}"
    );
    assert!(chosen.refused[1].to_string().contains("is not a folder"));
    assert_eq!(
        fs::read_dir(root.path()).unwrap().count(),
        1,
        "nothing is made"
    );
}

#[test]
fn where_none_will_do_each_reason_is_told_and_no_other_place_is_taken() {
    let root = TempDir::new().unwrap();
    let wishes = [root.path().join("a"), root.path().join("b")];
    let refused = first_fit(&wishes, &needs(u64::MAX)).unwrap_err();
    assert_eq!(refused.len(), 2);
    assert!(
        refused
            .iter()
            .all(|refused| matches!(refused.why, Unfit::NoRoom(_)))
    );
    assert_eq!(first_fit(&[], &Needs::default()), Err(Vec::new()));
}

#[test]
fn a_disk_that_is_read_only_or_full_is_passed_over() {
    let Some(small) = Tmpfs::mount("size=1m") else {
        return;
    };
    let root = TempDir::new().unwrap();
    let wishes = [small.path().join("cache"), root.path().join("cache")];
    let chosen = first_fit(&wishes, &needs(2 << 20)).unwrap();
    assert!(matches!(chosen.refused[0].why, Unfit::NoRoom(_)));
    small.remount("ro");
    let chosen = first_fit(&wishes, &needs(1)).unwrap();
    assert_eq!(chosen.path, wishes[1]);
    assert_eq!(
        chosen.refused[0].why,
        Unfit::Unwritable(ErrorKind::ReadOnly)
    );
}
