//! A folder with all that a campaign needs: a drop folder, a data folder, a store, and the oracle.

use crate::oracle::{Oracle, Tally};
use crate::process::{Mainstay, binary, json};
use crate::random::Random;
use crate::verdict::Verdict;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

pub(super) struct Stage {
    folder: TempDir,
    /// Where drop folder and data folder lie, if they have a disk of their own.
    disk: Option<PathBuf>,
    /// Where the drop folder lies, if it is alone on another one.
    far: Option<PathBuf>,
    /// Where the data folder lies, if it is alone on another one.
    near: Option<PathBuf>,
    pub(super) binary: PathBuf,
    pub(super) oracle: Oracle,
    pub(super) random: Random,
    seed: u64,
    dropped: u64,
}

impl Stage {
    pub(super) fn new(seed: u64) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("mainstay-faults-")
            .tempdir()?;
        for name in ["drop", "incoming", "store"] {
            fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self {
            binary: binary()?,
            folder,
            disk: None,
            far: None,
            near: None,
            oracle: Oracle::default(),
            random: Random::new(seed),
            seed,
            dropped: 0,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        let disk = match name {
            "drop" | "incoming" => self.far.as_ref().or(self.disk.as_ref()),
            "data" => self.near.as_ref().or(self.disk.as_ref()),
            _ => None,
        };
        disk.map_or(self.folder.path(), PathBuf::as_path).join(name)
    }

    /// Puts drop folder and data folder on a disk that may fail; the store, the logs and the oracle stay outside. From now
    /// on the producer makes each file durable before it goes on.
    pub(super) fn put_on(&mut self, disk: &Path) -> Result<()> {
        self.disk = Some(disk.to_owned());
        for name in ["drop", "incoming"] {
            fs::create_dir(self.path(name))?;
        }
        mainstay_files::sync_filesystem(disk)?;
        Ok(())
    }

    /// Puts the drop folder alone on another disk.
    pub(super) fn drop_on(&mut self, disk: &Path) -> Result<()> {
        self.far = Some(disk.to_owned());
        for name in ["drop", "incoming"] {
            fs::create_dir(self.path(name))?;
        }
        Ok(())
    }

    /// Puts the data folder alone on another disk.
    pub(super) fn data_on(&mut self, disk: &Path) {
        self.near = Some(disk.to_owned());
    }

    /// A new file, complete when it appears, as a producer that renames makes it.
    pub(super) fn drop_file(&mut self) -> Result<()> {
        let len = match self.random.below(20) {
            0 => 0,
            1 => 300_000 + self.random.below(200_000),
            _ => self.random.below(5_000),
        };
        let mut content = format!("document {} of seed {}\n", self.dropped, self.seed).into_bytes();
        content.extend(self.random.bytes(len as usize));
        // Names come again: the same name is another document.
        let name = format!("report-{}.dat", self.dropped % 97);
        self.drop_named(&name, &content)
    }

    pub(super) fn drop_named(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let incoming = self.path("incoming").join(format!("{}", self.dropped));
        fs::write(&incoming, content)?;
        // Old enough to be taken by a scan at once.
        let old = SystemTime::now() - Duration::from_mins(1);
        let file = File::options().write(true).open(&incoming)?;
        file.set_times(FileTimes::new().set_modified(old))?;
        if self.disk.is_some() {
            file.sync_all()?;
        }
        self.oracle.offer(name, content);
        let mut target = self.path("drop").join(name);
        while target.exists() {
            // The one before was not taken yet; a producer would choose another name.
            self.dropped += 1;
            target = self.path("drop").join(format!("{}-{name}", self.dropped));
        }
        fs::rename(&incoming, &target)?;
        if self.disk.is_some() {
            mainstay_files::sync_dir(&self.path("drop"))?;
        }
        self.dropped += 1;
        Ok(())
    }

    pub(super) fn agent_arguments(&self, data: &str, url: &str, more: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["run", "--log-level", "info", "--data"]
            .map(Into::into)
            .to_vec();
        arguments.push(self.path(data).into());
        arguments.push("--from".into());
        arguments.push(self.path("drop").into());
        arguments.push("--to".into());
        arguments.push(url.into());
        arguments.extend(more.iter().map(OsString::from));
        arguments
    }

    pub(super) fn agent(&self, data: &str, url: &str, more: &[&str]) -> Result<Mainstay> {
        let said = self.path(&format!("{data}.log"));
        Mainstay::start(&self.binary, &self.agent_arguments(data, url, more), &said)
    }

    /// Writes a configuration in which the agent removes what it has taken, beginning with `head`; returns where.
    pub(super) fn configure(&self, head: &str, url: &str) -> Result<PathBuf> {
        let file = self.path("mainstay.toml");
        let folder = self.path("drop");
        // An agent that is late reads it while another is written: it finds the one or the other, as with any editor.
        let fresh = self.path("mainstay.toml.new");
        fs::write(
            &fresh,
            format!(
                "{head}[[route]]\nname = \"reports\"\n[route.from]\nfolder = '{}'\nafter = \"delete\"\n[route.to.http]\nurl = \"{url}\"\n",
                folder.display()
            ),
        )?;
        fs::rename(&fresh, &file)?;
        Ok(file)
    }

    /// Starts the agent on such a configuration.
    pub(super) fn agent_that_deletes(
        &self,
        head: &str,
        data: &str,
        url: &str,
        more: &[&str],
    ) -> Result<Mainstay> {
        let file = self.configure(head, url)?;
        let mut arguments: Vec<OsString> = ["run", "--log-level", "info", "--config"]
            .map(Into::into)
            .to_vec();
        arguments.push(file.into());
        arguments.push("--data".into());
        arguments.push(self.path(data).into());
        arguments.extend(more.iter().map(OsString::from));
        Mainstay::start(&self.binary, &arguments, &self.path(&format!("{data}.log")))
    }

    /// Runs the agent until nothing is left to take or to deliver.
    pub(super) fn finish(&self, data: &str, url: &str) -> Result<()> {
        Self::succeed(self.agent(data, url, &["--until-empty"])?)
    }

    /// Waits until an agent has ended well.
    pub(super) fn succeed(agent: Mainstay) -> Result<()> {
        let ended = agent.wait()?;
        let lines: Vec<&str> = ended.said.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n");
        ensure!(
            ended.status.success(),
            "the agent ended with {}: {last}",
            ended.status
        );
        Ok(())
    }

    pub(super) fn status(&self, data: &str) -> Result<Value> {
        let folder = self.path(data);
        json(
            &self.binary,
            &[
                "status".as_ref(),
                "--json".as_ref(),
                "--data".as_ref(),
                folder.as_os_str(),
            ],
        )
    }

    pub(super) fn tally(&self) -> Result<Tally> {
        Ok(self.oracle.compare(&Oracle::read(&self.path("store"))?))
    }

    /// Leaves everything where it is, to be looked at; returns where.
    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// How many documents were offered.
    pub(super) fn documents(&self) -> u64 {
        self.oracle.count()
    }

    /// Holds everything against the oracle: the store, the folders, the ledgers.
    pub(super) fn judge(self, data: &[&str], measured: &str) -> Verdict {
        match self.what_is_wrong(data) {
            Ok(None) => Verdict::Pass(format!(
                "{measured}; {} documents offered and delivered once",
                self.oracle.count()
            )),
            Ok(Some(what)) => {
                let seed = self.seed;
                Verdict::Violation {
                    what,
                    seed,
                    kept: Some(self.folder.keep()),
                }
            }
            Err(error) => Verdict::from(error),
        }
    }

    /// What the oracle, the folders and the ledgers say, if anything.
    pub(super) fn what_is_wrong(&self, data: &[&str]) -> Result<Option<String>> {
        let tally = self.tally()?;
        if !tally.is_exact() {
            return Ok(Some(format!("{tally:?}")));
        }
        let left = count_files(&self.path("drop"), &|name| !name.starts_with(b"."))?;
        if left != 0 {
            return Ok(Some(format!("{left} files are left in the drop folder")));
        }
        let (mut accepted, mut delivered) = (0, 0);
        for data in data {
            let status = self.status(data)?;
            let count = |name: &str| {
                let count = status["ledger"][name].as_u64();
                count.with_context(|| format!("the status has no ledger.{name}: {status}"))
            };
            let rest =
                count("queued")? + count("dead")? + count("discarded")? + count("unreadable")?;
            if rest != 0 || status["ledger"]["balanced"] != Value::Bool(true) {
                return Ok(Some(format!(
                    "the ledger of {data} is {}",
                    status["ledger"]
                )));
            }
            accepted += count("accepted")?;
            delivered += count("delivered")?;
            let work = count_files(&self.path(data).join("work"), &is_claim)?;
            if work != 0 {
                return Ok(Some(format!("{work} files are left in {data}/work")));
            }
        }
        let offered = self.oracle.count();
        if (accepted, delivered) != (offered, offered) {
            return Ok(Some(format!(
                "{offered} offered, {accepted} accepted, {delivered} delivered"
            )));
        }
        Ok(None)
    }
}

/// Whether this is the name of a claimed file, which begins with the claim's id; the rest is bookkeeping.
fn is_claim(name: &[u8]) -> bool {
    36 < name.len() && [8, 13, 18, 23].iter().all(|place| name[*place] == b'-')
}

/// How many files of such a name lie below a folder.
fn count_files(folder: &Path, wanted: &dyn Fn(&[u8]) -> bool) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            count += count_files(&entry.path(), wanted)?;
        } else if wanted(entry.file_name().as_encoded_bytes()) {
            count += 1;
        }
    }
    Ok(count)
}
