//! Many files that are replaced at once, each as if it were alone.

use mainstay_files::{ErrorKind, replace_all};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// More than go to the disk together.
const FILES: usize = 150;

fn paths(folder: &Path) -> Vec<PathBuf> {
    (0..FILES)
        .map(|number| folder.join(number.to_string()))
        .collect()
}

#[test]
fn all_of_them_are_replaced_or_made_and_keep_their_modes() {
    let folder = TempDir::new().unwrap();
    let paths = paths(folder.path());
    for path in paths.iter().step_by(2) {
        fs::write(path, "old").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let contents: Vec<Vec<u8>> = (0..FILES).map(|number| vec![b'x'; number]).collect();
    let files: Vec<(&Path, &[u8])> = paths
        .iter()
        .zip(&contents)
        .map(|(path, content)| (&**path, &**content))
        .collect();
    replace_all(&files).unwrap();
    for (number, path) in paths.iter().enumerate() {
        assert_eq!(fs::read(path).unwrap(), contents[number]);
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert!(number % 2 == 1 || mode == 0o640, "{mode:o}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES);
    replace_all(&[]).unwrap();
}

#[test]
fn of_one_file_that_is_named_twice_the_last_content_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    replace_all(&[(&path, b"first"), (&path, b"second")]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_that_cannot_be_written_is_named_and_those_beside_it_are_whole() {
    let folder = TempDir::new().unwrap();
    let (path, missing) = (folder.path().join("state"), folder.path().join("no/state"));
    fs::write(&path, "old").unwrap();
    let error = replace_all(&[(&path, b"new"), (&missing, b"new")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.path(), missing);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The same test again, in a process that gets no thread: each would ask for more memory than there is.
#[test]
fn where_no_thread_is_to_be_had_the_files_are_synced_one_after_the_other() {
    const NAME: &str =
        "many_at_once::where_no_thread_is_to_be_had_the_files_are_synced_one_after_the_other";
    if std::env::var_os("MAINSTAY_WITHOUT_THREADS").is_some() {
        let spawned = std::thread::Builder::new().spawn(|| ());
        assert!(
            spawned.is_err(),
            "the test is worth nothing where threads are to be had"
        );
        let folder = TempDir::new().unwrap();
        let paths = paths(folder.path());
        let files: Vec<(&Path, &[u8])> = paths
            .iter()
            .map(|path| (&**path, b"new".as_slice()))
            .collect();
        replace_all(&files).unwrap();
        assert!(paths.iter().all(|path| fs::read(path).unwrap() == b"new"));
        return;
    }
    let output = Command::new("bash")
        .args(["-c", "ulimit -v 2097152 && exec \"$@\"", "bash"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--test-threads=1", "--nocapture"])
        .env("MAINSTAY_WITHOUT_THREADS", "1")
        .env("RUST_MIN_STACK", (8_u64 << 30).to_string())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}{errors}"
    );
}
