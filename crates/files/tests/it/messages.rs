//! What a person reads: what failed, where, why, and how things stand now.

use mainstay_files::{
    Error, create_dir_all, create_new, facts, free_space, move_file, open_regular, remove,
    rename_noreplace, replace, sync_dir,
};
use std::error::Error as _;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

/// The message with the test's own folder left out.
fn told(folder: &TempDir, result: Result<(), Error>) -> String {
    let error = result.expect_err("every case here fails");
    let message = error.to_string();
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(
        source.is_empty() || !message.contains(&source),
        "`{message}` repeats its source"
    );
    message.replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn messages_say_what_where_and_how_things_stand() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/inner"), "").unwrap();
    symlink("file", at("link")).unwrap();
    symlink("link", at("link2")).unwrap();
    let cases = [
        (
            replace(&at("no/file"), b""),
            "cannot replace `DIR/no/file`: the folder `DIR/no` does not exist; nothing was written",
        ),
        (
            replace(&at("folder"), b""),
            "cannot replace `DIR/folder`: a folder, pipe, socket or device has that name; nothing was written",
        ),
        (
            replace(&at("file/x"), b""),
            "cannot replace `DIR/file/x`: a part of the path is not a folder; nothing was written",
        ),
        (
            replace(&at("link2"), b""),
            "cannot replace `DIR/link2`: a symbolic link to a symbolic link, and only one is followed; give the path that it leads to; nothing was written",
        ),
        (
            replace(Path::new("/"), b""),
            "cannot replace `/`: the path does not end in a name; nothing was written",
        ),
        (
            create_new(&at("file"), b""),
            "cannot create `DIR/file`: something is there already; nothing was written",
        ),
        (
            rename_noreplace(&at("folder"), &at("file")),
            "cannot rename `DIR/folder` to `DIR/file`: something is there already; nothing was changed",
        ),
        (
            move_file(&at("gone"), &at("new")),
            "cannot move `DIR/gone` to `DIR/new`: there is no such file; nothing was moved",
        ),
        (
            move_file(&at("link"), &at("new")),
            "cannot move `DIR/link` to `DIR/new`: it is a symbolic link, which is not followed here; nothing was moved",
        ),
        (
            create_dir_all(&at("file/a"), 0o700),
            "cannot create folder `DIR/file/a`: something that is not a folder has that name, or that of a folder above",
        ),
        (
            remove(&at("folder")),
            "cannot remove `DIR/folder`: it is not a regular file; it is still there",
        ),
        (
            sync_dir(&at("gone")),
            "cannot sync folder `DIR/gone`: the file or its folder does not exist",
        ),
        (
            facts(&at("gone")).map(drop),
            "cannot look at `DIR/gone`: the file or its folder does not exist",
        ),
        (
            open_regular(&at("link")).map(drop),
            "cannot open `DIR/link`: it is a symbolic link",
        ),
        (
            free_space(&at("gone")).map(drop),
            "cannot ask for the free space of `DIR/gone`: the file or its folder does not exist",
        ),
    ];
    for (result, expected) in cases {
        assert_eq!(told(&folder, result), expected);
    }
}

#[test]
fn a_name_cannot_forge_a_message() {
    let folder = TempDir::new().unwrap();
    let path = folder
        .path()
        .join(OsStr::from_bytes(b"no\nERROR \xff\xe2\x80\xae/file"));
    let expected = "cannot create `DIR/no\\nERROR \\xff\\u{202e}/file`: \
                    the folder `DIR/no\\nERROR \\xff\\u{202e}` does not exist; nothing was written";
    assert_eq!(told(&folder, create_new(&path, b"")), expected);
}

#[test]
fn the_system_is_quoted_as_the_source() {
    let error = facts(Path::new("/no/such/file")).unwrap_err();
    assert_eq!(
        error.source().unwrap().to_string(),
        "No such file or directory (os error 2)"
    );
    assert_eq!(error.path(), Path::new("/no/such/file"));
}
