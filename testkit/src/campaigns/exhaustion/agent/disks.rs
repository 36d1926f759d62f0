//! The disk under the agent dies, goes away, or takes nothing any more.

use super::super::super::stage::Stage;
use super::{Outcome, is_exact, running};
use crate::image::{Cut, Image, Kind};
use crate::process::{Mainstay, Receiver};
use anyhow::Result;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Files that come while something is missing.
const FILES: u64 = 20;

/// Room for the log of the agent, which grows to segments of 64 MiB. The file is sparse.
const SIZE: u64 = 1024 * 1024 * 1024;

/// The disk of everything refuses every call from one moment on, as after an error that the file system could not bear.
pub(super) fn dead(stage: &mut Stage) -> Result<Outcome> {
    let mut disk = match Image::make_of(&stage.path(""), "disk", Kind::Ext4, SIZE) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.put_on(disk.path())?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    for _ in 0..100 {
        stage.drop_file()?;
    }
    disk.cut(Cut::Nothing)?;
    // It is given the time to meet the dead disk in every part of it.
    thread::sleep(Duration::from_secs(2));
    let said = fs::read_to_string(stage.path("data.log"))?;
    if said.contains("panicked") || !agent.is_running()? {
        return Ok(Outcome::Wrong(format!("it ended or panicked: {said}")));
    }
    agent.kill()?;
    disk.remount()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// The disk of the drop folder goes away while files are taken from it, and comes back.
pub(super) fn unmounted(stage: &mut Stage) -> Result<Outcome> {
    let folder = stage.path("far");
    fs::create_dir(&folder)?;
    let mut disk = match Image::make(&folder, "disk", Kind::Ext4) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.drop_on(disk.path())?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    for _ in 0..5 {
        for _ in 0..20 {
            stage.drop_file()?;
        }
        disk.pull()?;
        thread::sleep(Duration::from_millis(300));
        if !agent.is_running()? {
            return Ok(Outcome::Wrong("it ended".to_owned()));
        }
        disk.plug()?;
    }
    agent.kill()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// Nothing can be taken out of the drop folder, until it is writable again.
pub(super) fn read_only_drop(stage: &mut Stage) -> Result<Outcome> {
    let disk = match beside(stage, "far", Image::make) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.drop_on(disk.path())?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    for _ in 0..3 {
        agent.while_it_stands(|| {
            drop_some(stage)?;
            disk.set_read_only(true)
        })?;
        let told = agent.until("the status says that the folder cannot be emptied", || {
            needs_attention(stage)
        });
        disk.set_read_only(false)?;
        let emptied = || is_empty(&stage.path("drop"));
        let healed = told.and_then(|()| agent.until("the folder is emptied", emptied));
        if let Err(error) = healed {
            return Ok(Outcome::Wrong(format!("{error:#}")));
        }
    }
    agent.kill()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// The data folder turns read-only under the agent, as after an error of the disk: it says so, and goes on when it is started
/// on the disk that was mounted anew.
pub(super) fn read_only_data(stage: &mut Stage) -> Result<Outcome> {
    let make = |folder: &Path, name: &str, kind| Image::make_of(folder, name, kind, SIZE);
    let mut disk = match beside(stage, "near", make) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.data_on(disk.path());
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    drop_some(stage)?;
    agent.while_it_stands(|| {
        drop_some(stage)?;
        disk.give_up()
    })?;
    if let Some(wrong) = tells(stage, &mut agent)? {
        return Ok(Outcome::Wrong(wrong));
    }
    agent.kill()?;
    disk.remount()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// The disk of the data folder is unmounted under the agent, and comes back.
pub(super) fn unmounted_data(stage: &mut Stage) -> Result<Outcome> {
    let make = |folder: &Path, name: &str, kind| Image::make_of(folder, name, kind, SIZE);
    let mut disk = match beside(stage, "near", make) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.data_on(disk.path());
    without_data(
        stage,
        &mut disk,
        |disk, _| disk.pull(),
        |disk, _| disk.plug(),
    )
}

/// Somebody moves the data folder away under the agent, and brings it back.
pub(super) fn missing_data(stage: &mut Stage) -> Result<Outcome> {
    let elsewhere = stage.path("elsewhere");
    let back = elsewhere.clone();
    without_data(
        stage,
        &mut (),
        move |(), data| Ok(fs::rename(data, &elsewhere)?),
        move |(), data| Ok(fs::rename(&back, data)?),
    )
}

/// Takes the data folder away under the agent, and brings it back.
fn without_data<D>(
    stage: &mut Stage,
    disk: &mut D,
    take: impl FnOnce(&mut D, &Path) -> Result<()>,
    bring: impl FnOnce(&mut D, &Path) -> Result<()>,
) -> Result<Outcome> {
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    let data = stage.path("data");
    drop_some(stage)?;
    agent.while_it_stands(|| {
        drop_some(stage)?;
        take(disk, &data)
    })?;
    if let Some(wrong) = tells(stage, &mut agent)? {
        return Ok(Outcome::Wrong(wrong));
    }
    if data.exists() {
        // What it is given there is out of sight once the right one is back.
        let what = "it made a second data folder in the place of the one that was taken away";
        return Ok(Outcome::Wrong(what.to_owned()));
    }
    bring(disk, &data)?;
    agent.kill()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// A disk of its own in a folder beside the others.
fn beside(
    stage: &Stage,
    name: &str,
    make: impl FnOnce(&Path, &str, Kind) -> Result<Image>,
) -> Result<Image> {
    let folder = stage.path(name);
    fs::create_dir(&folder)?;
    make(&folder, "disk", Kind::Ext4)
}

fn drop_some(stage: &mut Stage) -> Result<()> {
    (0..FILES).try_for_each(|_| stage.drop_file())
}

/// Whether no file is left to be taken; what is hidden is bookkeeping.
fn is_empty(folder: &Path) -> bool {
    let hidden = |name: OsString| name.as_encoded_bytes().starts_with(b".");
    fs::read_dir(folder)
        .is_ok_and(|mut left| left.all(|entry| entry.is_ok_and(|entry| hidden(entry.file_name()))))
}

fn needs_attention(stage: &Stage) -> bool {
    let status = stage.status("data");
    status.is_ok_and(|status| status["state"] == "degraded")
}

/// Waits until the agent has taken all that is there, or says in its status or, where that cannot be reached, in its log that
/// it cannot, or has ended with a code that says why; what is wrong, if none of that happens as it should.
fn tells(stage: &Stage, agent: &mut Mainstay) -> Result<Option<String>> {
    /// Codes of a service that could not go on: a part died, or the data folder cannot be used.
    const CODES: [i32; 2] = [30, 31];
    let log = stage.path("data.log");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let complains = || said().contains("ERROR") || said().contains("WARN");
    let told = agent.until("the agent tells of what is missing", || {
        is_empty(&stage.path("drop"))
            || needs_attention(stage)
            || stage.status("data").is_err() && complains()
    });
    if said().contains("panicked") {
        return Ok(Some(format!("it panicked: {}", said())));
    }
    if let Err(error) = told {
        let code = agent.code()?;
        let is_known = code.is_some_and(|code| CODES.contains(&code));
        return Ok((!is_known).then(|| format!("{error:#} (exit code {code:?})")));
    }
    Ok(None)
}
