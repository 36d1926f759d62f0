//! How a command ends: its exit code, and what the operator reads.
//!
//! The codes are a contract with scripts and service managers; `docs/operating/exit-codes.md` says the same for people.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Why the process ended, as a number that does not change between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for was done.
    Done = 0,
    /// Something that has no code of its own; a defect, until shown otherwise.
    Unexpected = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The configuration cannot be read.
    ConfigUnreadable = 20,
    /// The configuration is not where it was said to be.
    ConfigNotFound = 21,
    /// The configuration says something that cannot be.
    ConfigInvalid = 22,
    /// The service could not start.
    StartFailed = 30,
    /// A part of the service failed for good where it was to end when all is done, and the rest was stopped in order.
    PartDied = 31,
    /// The command needs a running agent, or a data folder, and there is none.
    NotRunning = 32,
    /// The agent, or the demonstration, did not come to its end in time.
    TimedOut = 33,
    /// Another process has the data folder or the store.
    InUse = 34,
    /// The agent runs and is not well.
    Unwell = 35,
    /// The address cannot be listened on.
    CannotListen = 40,
    /// The other end cannot be reached, or does not take documents.
    Unreachable = 41,
    /// No document is known by that id.
    NoSuchDocument = 64,
    /// What was stored cannot be read, or is not what it was.
    Damaged = 65,
    /// A file or folder that was named cannot be read.
    NoInput = 66,
    /// The queue did not take the document.
    NotTaken = 67,
    /// Documents were lost or doubled: the demonstration or the self-test found what must not be.
    NotBalanced = 68,
    /// The verb does not fit the document's state, so nothing was changed.
    NothingChanged = 69,
    /// A file that was to be written cannot be, or is there already.
    NoOutput = 73,
    /// Stopped before all work in hand was done; nothing is lost.
    StoppedEarly = 75,
}

impl Exit {
    const ALL: [Self; 22] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::ConfigUnreadable,
        Self::ConfigNotFound,
        Self::ConfigInvalid,
        Self::StartFailed,
        Self::PartDied,
        Self::NotRunning,
        Self::TimedOut,
        Self::InUse,
        Self::Unwell,
        Self::CannotListen,
        Self::Unreachable,
        Self::NoSuchDocument,
        Self::Damaged,
        Self::NoInput,
        Self::NotTaken,
        Self::NotBalanced,
        Self::NothingChanged,
        Self::NoOutput,
        Self::StoppedEarly,
    ];

    /// The exit that has this code; what is not known is unexpected.
    pub(crate) fn of_code(code: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|exit| *exit as u8 == code)
            .unwrap_or(Self::Unexpected)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what it was asked to: what happened and where, what to do next, and the code to end with.
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    help: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure in the words for the operator: lowercase, what and where, no full stop.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
            source: None,
        }
    }

    /// Adds what the operator can do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the error underneath; it is printed with its own causes.
    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whoever read our output went away, as `head` does: nothing to say, and no error.
    pub(crate) fn reader_went_away() -> Self {
        Self::new(Exit::Done, String::new())
    }

    /// What happened and why, without the help.
    pub(crate) fn account(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static));
        while let Some(error) = cause {
            text.push_str("\n  because: ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// What the operator can do about it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The code that the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// True when there is nothing to print.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

impl fmt::Display for Failure {
    /// The message, then one line for each cause, then the help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account())?;
        for line in self.help.iter().flat_map(|help| help.lines()) {
            write!(f, "\n  help: {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[exit {}] {self}", self.exit as u8)
    }
}

impl From<std::io::Error> for Failure {
    /// For output that could not be written: a reader that went away is not a failure.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::reader_went_away();
        }
        Self::new(Exit::Unexpected, "cannot write the output").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_what_why_and_what_to_do() {
        let failure = Failure::new(Exit::StartFailed, "cannot open the queue in `/x`")
            .because(std::io::Error::other("disk on fire"))
            .help("put it out");
        assert_eq!(
            failure.to_string(),
            "cannot open the queue in `/x`\n  because: disk on fire\n  help: put it out"
        );
    }

    #[test]
    fn every_code_is_found_again_and_none_is_given_twice() {
        for exit in Exit::ALL {
            assert_eq!(Exit::of_code(exit as u8), exit);
        }
        assert_eq!(Exit::of_code(255), Exit::Unexpected);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(failure.is_silent());
        assert_eq!(failure.exit(), Exit::Done);
    }
}
