//! `mainstay files` for any file.

use crate::support::{Said, mainstay};
use serde_json::Value;
use std::process::{Command, Stdio};

fn said(args: &[&str]) -> Said {
    mainstay(args).output().unwrap().into()
}

#[test]
fn checksums_are_printed_as_the_systems_own_program_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report 7.csv");
    std::fs::write(&path, "abc").unwrap();
    let path = path.to_str().unwrap();
    let printed = said(&["files", "checksum", path]);
    assert_eq!(printed.code, Some(0));
    assert_eq!(
        printed.out,
        format!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  {path}\n")
    );
    let list = folder.path().join("list");
    std::fs::write(&list, &printed.out).unwrap();
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict"])
        .arg(&list)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(checked.success());
}

#[test]
fn a_file_is_verified_changed_or_unknown_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (good, bad, new, missing) = (at("good"), at("bad"), at("new"), at("missing"));
    for path in [&good, &bad, &new] {
        std::fs::write(path, "abc").unwrap();
    }
    assert_eq!(
        said(&["files", "checksum", "--write", &good, &bad]).code,
        Some(0)
    );
    std::fs::write(&bad, "abd").unwrap();

    let verified = said(&["files", "verify", &good]);
    assert_eq!(
        (verified.code, verified.out),
        (Some(0), format!("{good}: verified\n"))
    );
    let unknown = said(&["files", "verify", &good, &new]);
    assert_eq!(unknown.code, Some(66));
    assert!(unknown.out.contains(&format!(
        "{new}: unknown: there is no `new.sha256` beside it"
    )));
    let failed = said(&["files", "verify", &missing, &bad, &good]);
    assert_eq!(
        failed.code,
        Some(65),
        "what changed tells more than what is missing"
    );
    assert!(
        failed.out.contains(&format!("{bad}: mismatch")),
        "{}",
        failed.out
    );
    assert!(
        failed.out.contains(&format!("{good}: verified")),
        "{}",
        failed.out
    );

    let json = said(&["files", "verify", "--json", &bad, &new]);
    let told: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(told[0]["state"], "mismatch");
    assert_eq!(told[0]["algorithm"], "sha256");
    assert_eq!(told[1]["state"], "unknown");
}
