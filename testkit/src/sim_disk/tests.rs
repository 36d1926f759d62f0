use super::*;

fn read(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(Folder::Root, name).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

fn written(disk: &SimDisk, name: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.create(Folder::Root, name).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

#[test]
fn what_was_synced_with_its_name_survives_every_cut() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = written(&disk, "a", &[7; 5000]);
        file.sync().unwrap();
        disk.sync_folder(Folder::Root).unwrap();
        file.write_at(&[8; 5000], 5000).unwrap();
        disk.restart(Outcome::Any);
        let bytes = read(&disk, "a").unwrap();
        assert_eq!(bytes[..5000], [7; 5000], "seed {seed}");
        assert!(bytes[5000..].iter().all(|byte| *byte == 0 || *byte == 8));
        assert!(file.len().is_err(), "what was open is dead");
    }
}

#[test]
fn a_name_that_was_not_synced_may_be_lost_and_bytes_that_were_not_synced_too() {
    let outcome = |outcome| {
        let disk = SimDisk::new(1);
        written(&disk, "a", b"bytes");
        disk.restart(outcome);
        read(&disk, "a")
    };
    assert_eq!(outcome(Outcome::AllLost), None);
    assert_eq!(outcome(Outcome::AllKept), Some(b"bytes".to_vec()));
    assert_eq!(outcome(Outcome::NamesKept), Some(Vec::new()));
}

#[test]
fn a_rename_leaves_the_old_or_the_new_file_and_never_none() {
    let mut seen = [false; 2];
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        written(&disk, "a", b"old").sync().unwrap();
        disk.sync_folder(Folder::Root).unwrap();
        written(&disk, "b", b"new").sync().unwrap();
        disk.rename(Folder::Root, "b", "a").unwrap();
        disk.restart(Outcome::Any);
        match read(&disk, "a").unwrap().as_slice() {
            b"old" => seen[0] = true,
            b"new" => seen[1] = true,
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn after_a_failed_sync_readers_are_shown_what_a_second_sync_does_not_keep() {
    let mut lied = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = written(&disk, "a", &[1; 4096]);
        file.sync().unwrap();
        disk.sync_folder(Folder::Root).unwrap();
        disk.refuse(Some(Fault {
            on: Some(On::Syncs),
            after: 0,
            count: 1,
            code: EIO,
        }));
        assert!(file.commit_at(&[2; 4096], 0).is_err());
        file.sync().unwrap();
        assert_eq!(read(&disk, "a").unwrap(), [2; 4096]);
        let fork = disk.fork();
        fork.restart(Outcome::AllKept);
        disk.drop_caches();
        assert_eq!(read(&disk, "a"), read(&fork, "a"));
        lied += u32::from(read(&disk, "a").unwrap() != [2; 4096]);
    }
    assert!(10 < lied, "{lied} of 50");
}

#[test]
fn a_commit_that_is_cut_is_torn_and_nothing_after_it_is_done() {
    let mut mixed = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = written(&disk, "a", &[1; 8192]);
        file.sync().unwrap();
        disk.sync_folder(Folder::Root).unwrap();
        disk.cut_in(Some(1));
        assert!(file.commit_at(&[2; 8192], 0).is_err());
        assert!(disk.is_stopped());
        assert!(disk.remove(Folder::Root, "a").is_err());
        disk.restart(Outcome::Any);
        let bytes = read(&disk, "a").unwrap();
        mixed += u32::from(bytes.contains(&1) && bytes.contains(&2));
    }
    assert!(5 < mixed, "{mixed} of 50");
}

#[test]
fn a_full_disk_takes_what_fits_and_says_so() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(6000));
    let file = written(&disk, "a", &[1; 4000]);
    let error = file.write_at(&[1; 4000], 4000).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.used(), 6000);
    file.set_len(0).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 6000);
}

#[test]
fn one_seed_gives_one_disk() {
    let after = |seed| {
        let disk = SimDisk::new(seed);
        let file = written(&disk, "a", &[1; 8192]);
        disk.sync_folder(Folder::Root).unwrap();
        file.write_at(&[2; 8192], 0).unwrap();
        disk.restart(Outcome::Torn);
        (disk.fresh_bytes(), read(&disk, "a"))
    };
    assert_eq!(after(5), after(5));
    assert_ne!(after(5), after(6));
}
