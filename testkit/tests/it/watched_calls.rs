//! The child that is watched is the one that replaces a file three times: create, write, fsync, rename.

use mainstay_testkit::tracer::{
    Ending, Fault, IS_SUPPORTED, Lasts, Plan, Seen, Short, Watch, Watched, watch,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const EIO: i32 = 5;

/// Lays out the folders of a workload that is run by hand.
pub(crate) fn lay_out(folder: &Path) {
    for name in ["near/files/sub", "far/files"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
}

/// Runs the careless workload, or checks what it left, and returns what it told.
pub(crate) fn careless(
    verb: &str,
    folder: &Path,
    notes: &Path,
    plan: Option<Plan>,
    power_off: &mut dyn FnMut() -> anyhow::Result<()>,
) -> (Seen, String) {
    careless_watched(verb, folder, notes, Watched::Changes, plan, power_off)
}

fn careless_watched(
    verb: &str,
    folder: &Path,
    notes: &Path,
    watched: Watched,
    plan: Option<Plan>,
    power_off: &mut dyn FnMut() -> anyhow::Result<()>,
) -> (Seen, String) {
    let (near, told) = (folder.join("near"), notes.join(format!("{verb}.told")));
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    command.args(["workload", verb, "careless"]);
    command.args([&near, &folder.join("far")]).arg("0");
    if verb == "check" {
        command.arg(notes.join("run.told"));
    }
    let wish = Watch {
        below: std::slice::from_ref(&near),
        watched,
        plan,
        patience: Duration::from_mins(1),
        told: &told,
        said: &notes.join("said"),
    };
    let seen = watch(&mut command, &wish, power_off).unwrap();
    (seen, fs::read_to_string(told).unwrap())
}

fn run(plan: Option<Plan>) -> (Seen, String, TempDir) {
    let folder = TempDir::new().unwrap();
    lay_out(folder.path());
    let (seen, told) = careless("run", folder.path(), folder.path(), plan, &mut || Ok(()));
    (seen, told, folder)
}

fn is_measured() -> bool {
    if !IS_SUPPORTED {
        println!("NOT MEASURED: the registers of this machine are not known");
    }
    IS_SUPPORTED
}

#[test]
fn every_call_that_changes_something_is_counted() {
    if !is_measured() {
        return;
    }
    let (seen, told, _) = run(None);
    assert_eq!(seen.ending, Ending::Exited(0));
    assert_eq!(told.matches("wrote").count(), 3, "{told}");
    // Create, write, fsync and rename, three times.
    assert_eq!(seen.calls, 12);
}

#[test]
fn an_error_that_is_injected_into_a_sync_is_what_the_child_sees() {
    if !is_measured() {
        return;
    }
    // Of three files: the first, the first two, all.
    for (lasts, refusals) in [(Lasts::Once, 1), (Lasts::Calls(2), 2), (Lasts::ForGood, 3)] {
        let fault = Fault::Fails { errno: EIO, lasts };
        let (seen, told, folder) = run(Some(Plan { at: 3, fault }));
        assert!(seen.hit.unwrap().starts_with("fsync "), "the third call");
        let refused = told.matches("(os error 5)").count();
        assert_eq!(refused, refusals, "{told}");
        let is_there = folder.path().join("near/files/state.json").exists();
        assert_eq!(is_there, refusals < 3, "a call that fails is not made");
    }
}

#[test]
fn a_short_write_writes_so_much_and_says_so() {
    if !is_measured() {
        return;
    }
    for short in [Short::One, Short::Half, Short::AllButOne] {
        let fault = Fault::Short(short);
        let (seen, told, _) = run(Some(Plan { at: 2, fault }));
        assert!(seen.hit.unwrap().starts_with("write "), "the second call");
        // The standard library writes the rest with another call.
        assert_eq!((seen.calls, told.matches("wrote").count()), (13, 3));
    }
}

#[test]
fn only_the_looks_of_the_program_fail_and_not_those_of_its_judge() {
    if !is_measured() {
        return;
    }
    let (_, _, folder) = run(None);
    let check = |plan| {
        let (at, watched) = (folder.path(), Watched::Reading);
        careless_watched("check", at, at, watched, plan, &mut || Ok(()))
    };
    let (whole, told) = check(None);
    assert_eq!(whole.ending, Ending::Exited(0), "{told}");
    let names: BTreeSet<&str> = whole.kinds.iter().map(|(name, _)| *name).collect();
    assert!(names.contains("getdents64"), "folders are swept: {names:?}");
    assert!(!names.contains("read"), "the judge alone reads: {names:?}");
    for at in 1..=whole.calls {
        let (lasts, errno) = (Lasts::ForGood, EIO);
        let fault = Fault::Fails { errno, lasts };
        let (seen, told) = check(Some(Plan { at, fault }));
        assert!(seen.hit.is_some(), "call {at} fails");
        // It gives up or does without, and what it says of the files is so.
        assert!(matches!(seen.ending, Ending::Exited(0 | 2)), "{told}");
    }
}

#[test]
fn a_child_whose_power_goes_makes_no_further_call() {
    if !is_measured() {
        return;
    }
    for at in 1..=12 {
        let plan = Plan {
            at,
            fault: Fault::PowerOff,
        };
        let mut times = 0;
        let folder = TempDir::new().unwrap();
        lay_out(folder.path());
        let (seen, told) = careless("run", folder.path(), folder.path(), Some(plan), &mut || {
            times += 1;
            Ok(())
        });
        assert_eq!((seen.ending, times), (Ending::PoweredOff, 1));
        assert_eq!(told.matches("wrote").count() as u64, (at - 1) / 4, "{told}");
    }
}
