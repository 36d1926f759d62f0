//! What a process can be asked about its start.

use mainstay_paths::{AppDirs, AppId, Environment, Platform};
use std::path::Path;

#[test]
fn this_process_has_an_environment_and_folders() {
    let environment = Environment::from_process();
    assert!(environment.get("PATH").is_some());
    assert!(environment.get("MAINSTAY_TEST_NOBODY_SETS_THIS").is_none());
    let dirs = AppDirs::resolve(&AppId::MAINSTAY, &environment);
    assert_eq!(
        dirs,
        AppDirs::resolve(&AppId::MAINSTAY, &Environment::from_process())
    );
    assert!(dirs.data.is_absolute(), "{}", dirs.data.display());
}

#[cfg(target_os = "linux")]
#[test]
fn this_process_is_roots_where_its_files_are() {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(Environment::from_process().is_root(), uid == 0);
}

#[test]
fn a_secret_is_found_by_name_and_never_shown() {
    let environment = Environment::injected(Platform::Linux)
        .with("TOKEN", "hunter2")
        .with("EMPTY", "");
    assert_eq!(
        environment.secret_from_env("TOKEN").as_deref(),
        Some("hunter2")
    );
    assert_eq!(environment.secret_from_env("EMPTY"), None);
    assert_eq!(environment.secret_from_env("MISSING"), None);
    let shown = format!("{environment:?}");
    assert!(
        shown.contains("TOKEN") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[cfg(unix)]
#[test]
fn a_secret_that_is_not_text_is_none() {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
    let environment = Environment::injected(Platform::Linux).with("TOKEN", odd.clone());
    assert_eq!(environment.secret_from_env("TOKEN"), None);
    assert_eq!(environment.get("TOKEN"), Some(odd));
}

#[test]
fn credentials_are_where_the_service_manager_says() {
    let environment = Environment::injected(Platform::Linux);
    assert_eq!(environment.credentials_directory(), None);
    let environment =
        environment.with("CREDENTIALS_DIRECTORY", "/run/credentials/mainstay.service");
    let expected = Path::new("/run/credentials/mainstay.service");
    assert_eq!(
        environment.credentials_directory().as_deref(),
        Some(expected)
    );
    assert_eq!(
        environment
            .with("CREDENTIALS_DIRECTORY", "here")
            .credentials_directory(),
        None
    );
}

#[test]
fn colours_are_unwanted_where_the_variable_is_not_empty() {
    let environment = Environment::injected(Platform::Linux);
    assert!(!environment.no_color());
    assert!(!environment.clone().with("NO_COLOR", "").no_color());
    assert!(environment.with("NO_COLOR", "0").no_color());
}

#[test]
fn the_journal_is_told_by_the_stream_itself_and_not_by_the_variable() {
    let environment = Environment::injected(Platform::Linux).with("JOURNAL_STREAM", "8:4711");
    assert!(!environment.journal());
    assert!(environment.clone().with_stderr(8, 4711).journal());
    assert!(!environment.clone().with_stderr(8, 1).journal());
    for odd in ["", "8", "8:", "a:b", "8:4711:1"] {
        assert!(
            !environment
                .clone()
                .with("JOURNAL_STREAM", odd)
                .with_stderr(8, 4711)
                .journal(),
            "{odd}"
        );
    }
}
