//! The agent is asked to stop at random moments, in the worst situations, and has to be gone in time, with nothing lost.
//!
//! | situation | what is under way | gone within |
//! |---|---|---|
//! | early | the start itself, after a kill with documents claimed, queued and under way | the grace, 0.5 s, and 1 s for the start |
//! | load | files come in, and a receiver takes them | the grace and 0.5 s |
//! | reload | a new configuration is written and asked for | the same |
//! | written | the configuration is half written, and asked for | the same |
//! | hung | deliveries that nobody answers | the same |
//! | full | the same, and the queue takes nothing more | the same |
//! | upload | a large document that nobody reads | the same |
//! | twice | deliveries that nobody answers, an hour of grace, and a second signal | 0.2 s after that |
//!
//! After a stop that says it was clean the next life sends nothing again, ever; after an early one each document comes again once at
//! most, and only one that was in flight. Where hardly a stop under load was clean, that was not tried, and the harness is broken.
//!
//! A machine that is late itself can say nothing of times: what took too long while the machine overslept by a tenth of the
//! excess is not counted, and where that is every second stop, the campaign is not measured.

mod early;

use super::repeats::Repeats;
use super::stage::Stage;
use super::{Effort, scratch};
use crate::process::Receiver;
use crate::verdict::{Figure, Verdict};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A stop takes some 150 ms, where nothing answers some 700.
const STOPS_SHORT: u64 = 100;
const STOPS_LONG: u64 = 500;

const GRACE: Duration = Duration::from_millis(300);
/// What a stop may take beyond its grace.
const BEYOND: Duration = Duration::from_millis(500);
/// What it may take after a second signal.
const AT_ONCE: Duration = Duration::from_millis(200);

/// The first signal comes so long after the start, or after a delivery is under way, at most.
const MOMENT_MAX: Duration = Duration::from_millis(200);

/// More than the system holds on the way to who does not read.
const LARGE: usize = 16 * 1024 * 1024;

/// How the agent ends that was stopped before all was done.
const EARLY: i32 = 75;

/// SIGTERM, as a number.
const TERMINATED: i32 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Situation {
    Early,
    Load,
    Reload,
    Written,
    Hung,
    Full,
    Upload,
    Twice,
}

/// What came of the stops of one situation.
#[derive(Debug, Default)]
struct Stops {
    clean: u64,
    early: u64,
    /// The signal came before the program listened to it.
    unheard: u64,
    /// On a machine that was late itself.
    untimed: u64,
    longest: Duration,
}

/// What one stop came to.
struct Stopped {
    status: ExitStatus,
    took: Duration,
    /// Whether the program listened to the signal when it was sent.
    was_heard: bool,
}

/// What somebody else has to look at.
#[derive(Debug)]
struct Broken(String);

pub(super) fn run(effort: Effort) -> Verdict {
    let stops = if effort.is_long {
        STOPS_LONG
    } else {
        STOPS_SHORT
    };
    let (mut stage, scratch) = match (Stage::new(effort.seed), scratch()) {
        (Ok(stage), Ok(scratch)) => (stage, scratch),
        (Err(error), _) | (_, Err(error)) => return Verdict::from(error),
    };
    // In memory, so that no disk decides how long a stop takes.
    let said = match stage
        .put_on(scratch.path())
        .and_then(|()| all(&mut stage, stops))
    {
        Ok(said) => said,
        Err(error) => match error.downcast::<Broken>() {
            Ok(Broken(what)) => {
                let what = format!("{what}; its disk in {}", scratch.keep().display());
                return Verdict::Violation {
                    what,
                    seed: effort.seed,
                    kept: Some(stage.keep()),
                };
            }
            Err(error) => return Verdict::from(error),
        },
    };
    let untimed: u64 = said.values().map(|stops| stops.untimed).sum();
    let words: Vec<String> = said
        .iter()
        .map(|(situation, stops)| stops.said(*situation))
        .collect();
    let words = format!("{stops} stops: {}", words.join("; "));
    if let Some(what) = hardly_clean(&said) {
        return Verdict::HarnessBroken(format!("stops: {what}; {words}"));
    }
    if stops < 2 * untimed {
        return Verdict::NotMeasured(format!("stops: the machine was late itself; {words}"));
    }
    let documents = stage.documents();
    let verdict = stage.judge(&["data"], &words);
    if !verdict.is_pass() {
        println!("  its disk: {}", scratch.keep().display());
    }
    verdict
        .with(Figure::Stops, stops)
        .with(Figure::Documents, documents)
}

fn all(stage: &mut Stage, stops: u64) -> Result<BTreeMap<Situation, Stops>> {
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let machine = Lateness::watch();
    let mut said: BTreeMap<Situation, Stops> = BTreeMap::new();
    let mut repeats = Repeats::new(stage.path("store"), stage.path("receiver.log"));
    for number in 0..stops {
        let situation = Situation::of(stage.random.below(20));
        machine.take();
        let stopped = situation.play(stage, &receiver.url)?;
        let so_far = said.entry(situation).or_default();
        let is_clean = so_far
            .note(situation, &stopped, machine.take())
            .with_context(|| format!("stop {number}"))?;
        let wrong = |what: Option<String>| match what {
            Some(what) => Err(Broken(format!("stop {number} ({situation:?}): {what}"))),
            None => Ok(()),
        };
        wrong(repeats.judge(is_clean)?)?;
        if situation.is_answered() {
            if !is_clean {
                // What was under way is sent again, and nothing else.
                finish(stage, &receiver.url)?;
                wrong(repeats.judge(false)?)?;
            }
            repeats.settle()?;
        }
    }
    finish(stage, &receiver.url)?;
    Ok(said)
}

/// Runs the agent, by the route that all lives have, until nothing is left.
fn finish(stage: &Stage, receiver: &str) -> Result<()> {
    let to_the_end = &["--until-empty"];
    Stage::succeed(stage.agent_that_deletes("", "data", receiver, to_the_end)?)
}

impl Situation {
    /// For a number below 20.
    fn of(number: u64) -> Self {
        match number {
            0..=3 => Self::Early,
            4..=7 => Self::Load,
            8..=9 => Self::Reload,
            10..=11 => Self::Written,
            12..=14 => Self::Hung,
            15..=16 => Self::Full,
            17 => Self::Upload,
            _ => Self::Twice,
        }
    }

    /// Whether the receiver takes what is sent.
    fn is_answered(self) -> bool {
        matches!(
            self,
            Self::Early | Self::Load | Self::Reload | Self::Written
        )
    }

    fn may_take(self) -> Duration {
        match self {
            Self::Twice => AT_ONCE,
            Self::Early => GRACE + BEYOND + early::START,
            _ => GRACE + BEYOND,
        }
    }

    /// Lives, and stops.
    fn play(self, stage: &mut Stage, receiver: &str) -> Result<Stopped> {
        if self == Self::Early {
            return early::play(stage, receiver);
        }
        let silent = TcpListener::bind("127.0.0.1:0")?;
        silent.set_nonblocking(true)?;
        let to = if self.is_answered() {
            receiver.to_owned()
        } else {
            format!("http://{}/ingest", silent.local_addr()?)
        };
        let queue = if self == Self::Full {
            "[queue]\nmax_documents = 3\n"
        } else {
            ""
        };
        let grace = match self {
            Self::Twice => "1h".to_owned(),
            _ => format!("{}ms", GRACE.as_millis()),
        };
        let mut agent = stage.agent_that_deletes(queue, "data", &to, &["--grace", &grace])?;
        self.give(stage)?;
        let mut held: Vec<TcpStream> = Vec::new();
        if !self.is_answered() {
            agent.until("a delivery is under way", || accept(&silent, &mut held))?;
        }
        let mut moment =
            || Duration::from_micros(stage.random.below(MOMENT_MAX.as_micros() as u64));
        thread::sleep(moment());
        if matches!(self, Self::Reload | Self::Written) {
            // A new configuration is taken 200 ms after it was last asked for.
            let again = Duration::from_millis(150) + moment();
            let file = stage.configure("[queue]\nretain_after_ack = \"1h\"\n", &to)?;
            if self == Self::Written {
                // Who writes it is in the middle of its last value, in the file itself.
                let len = fs::metadata(&file)?.len();
                File::options().write(true).open(&file)?.set_len(len - 8)?;
            }
            agent.reload()?;
            thread::sleep(again);
        }
        let was_heard = hears(agent.pid());
        let mut begun = Instant::now();
        agent.terminate()?;
        if self == Self::Twice {
            thread::sleep(Duration::from_micros(stage.random.below(100_000)));
            begun = Instant::now();
            agent.terminate()?;
        }
        let status = agent.wait()?.status;
        Ok(Stopped {
            status,
            took: begun.elapsed(),
            was_heard,
        })
    }

    /// Puts files into the drop folder.
    fn give(self, stage: &mut Stage) -> Result<()> {
        if self == Self::Upload {
            let large = stage.random.bytes(LARGE);
            return stage.drop_named("large.dat", &large);
        }
        for _ in 0..=stage.random.below(10) {
            stage.drop_file()?;
        }
        Ok(())
    }
}

/// A tenth of the stops that can be clean have to be, or nothing was found out of what comes after one.
fn hardly_clean(said: &BTreeMap<Situation, Stops>) -> Option<String> {
    let answered = { said.iter() }
        .filter(|(situation, _)| situation.is_answered() && **situation != Situation::Early);
    let (clean, all) = answered.fold((0, 0), |(clean, all), (_, stops)| {
        (
            clean + stops.clean,
            all + stops.clean + stops.early + stops.unheard,
        )
    });
    (10 * clean < all.max(1)).then(|| format!("{clean} of {all} stops under load were clean"))
}

/// Whether a process listens to SIGTERM; not, where the system does not say.
fn hears(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask >> (TERMINATED - 1) & 1 == 1)
}

/// Takes whoever comes, and reads and says nothing; whether anybody came.
fn accept(silent: &TcpListener, held: &mut Vec<TcpStream>) -> bool {
    match silent.accept() {
        Ok((stream, _)) => {
            held.push(stream);
            true
        }
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

impl Stops {
    /// Notes a stop; whether it was clean.
    fn note(&mut self, situation: Situation, stopped: &Stopped, late: Duration) -> Result<bool> {
        let Stopped {
            status,
            took,
            was_heard,
        } = stopped;
        match (status.code(), status.signal()) {
            (Some(0), _) if situation.is_answered() => self.clean += 1,
            (Some(EARLY), _) => self.early += 1,
            // The system ended it, which is for who does not listen yet; whoever does ends by itself, and any other signal is a crash.
            (None, Some(TERMINATED)) if !was_heard => self.unheard += 1,
            _ => return Err(Broken(format!("{situation:?} ended with {status}")).into()),
        }
        if situation.may_take() < *took {
            if situation.may_take() + 10 * late < *took {
                return Err(Broken(format!(
                    "{situation:?} took {took:?} of {:?} to stop, on a machine that was late by {late:?}",
                    situation.may_take()
                ))
                .into());
            }
            self.untimed += 1;
        } else {
            self.longest = self.longest.max(*took);
        }
        Ok(status.success())
    }

    fn said(&self, situation: Situation) -> String {
        let Self {
            clean,
            early,
            unheard,
            untimed,
            longest,
        } = self;
        let mut words = format!(
            "{} {situation:?}, {clean} clean, {early} early, the longest {} of {} ms",
            clean + early + unheard,
            longest.as_millis(),
            situation.may_take().as_millis()
        )
        .to_lowercase();
        for (number, what) in [(unheard, "unheard"), (untimed, "not timed")] {
            if 0 < *number {
                words.extend([", ", &number.to_string(), " ", what]);
            }
        }
        words
    }
}

/// How late the machine itself is: what a sleep takes beyond what was asked for.
struct Lateness {
    worst: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lateness {
    fn watch() -> Self {
        const NAP: Duration = Duration::from_millis(5);
        let (worst, is_over): (Arc<AtomicU64>, Arc<AtomicBool>) = Default::default();
        let (noted, ends) = (Arc::clone(&worst), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(NAP);
                let late = begun.elapsed().saturating_sub(NAP);
                noted.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self {
            worst,
            is_over,
            thread: Some(thread),
        }
    }

    /// The worst since it was last taken.
    fn take(&self) -> Duration {
        Duration::from_micros(self.worst.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only sleeps and counts.
            thread.join().ok();
        }
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_asked_before_it_listens_may_be_ended_by_the_system_and_nobody_else() {
        let mut stops = Stops::default();
        let mut note = |was_heard: bool| {
            let stopped = Stopped {
                status: ExitStatus::from_raw(TERMINATED),
                took: Duration::ZERO,
                was_heard,
            };
            stops.note(Situation::Early, &stopped, Duration::ZERO)
        };
        assert!(!note(false).unwrap());
        let broken = note(true).unwrap_err().downcast::<Broken>().unwrap();
        assert!(broken.0.contains("signal: 15"), "{broken}");
        assert_eq!(stops.unheard, 1);
        // This process has no handler of its own.
        assert!(!hears(std::process::id()));
    }

    #[test]
    fn stops_of_which_hardly_one_was_clean_prove_nothing() {
        let of = |clean, early| {
            let stops = Stops {
                clean,
                early,
                ..Stops::default()
            };
            // Those that nobody answers are never clean, and do not count.
            let hung = Stops {
                early: 100,
                ..Stops::default()
            };
            BTreeMap::from([(Situation::Load, stops), (Situation::Hung, hung)])
        };
        assert_eq!(hardly_clean(&of(10, 90)), None);
        assert!(hardly_clean(&of(9, 91)).is_some());
        assert!(hardly_clean(&of(0, 0)).is_some());
    }
}
