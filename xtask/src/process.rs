//! Calling other programs: shown before they run, named when they fail.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// What `cargo run` sets for us and a build script below us must not see: ring's asks to be run again whenever one of
/// these differs, so a build from here and a build by hand would take turns at rebuilding everything above it.
const OURS: &[&str] = &[
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_HOMEPAGE",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_LICENSE_FILE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_README",
    "CARGO_PKG_REPOSITORY",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Which of a program's two streams is read here; the other goes straight to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A call of cargo in the workspace, as if typed by hand.
pub(crate) fn cargo(root: &Path) -> Command {
    program("cargo", root)
}

/// A call of any program in the workspace, as if typed by hand.
pub(crate) fn program(name: &str, root: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root);
    for name in OURS {
        command.env_remove(name);
    }
    command
}

/// Runs to the end; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    show(command);
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs to the end and hands each line of one stream to `each`, after showing it.
pub(crate) fn watch(
    command: &mut Command,
    stream: Stream,
    mut each: impl FnMut(&str),
) -> Result<ExitStatus> {
    show(command);
    match stream {
        Stream::Out => command.stdout(Stdio::piped()),
        Stream::Err => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let pipe: Option<Box<dyn Read>> = match stream {
        Stream::Out => child.stdout.take().map(|pipe| Box::new(pipe) as _),
        Stream::Err => child.stderr.take().map(|pipe| Box::new(pipe) as _),
    };
    let mut lines = BufReader::new(pipe.context("a piped stream is there")?);
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        match stream {
            Stream::Out => print!("{line}"),
            Stream::Err => eprint!("{line}"),
        }
        each(line.trim_end());
        bytes.clear();
    }
    Ok(child.wait()?)
}

/// Runs silently and returns what it wrote to standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is not text", line(command)))
}

/// Whether it starts and ends well; nothing is shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether it can be started at all, however it ends.
pub(crate) fn starts(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// `always` where a person reads our errors, `never` elsewhere: a pipe hides the terminal from the program below us.
pub(crate) fn color() -> &'static str {
    if std::io::stderr().is_terminal() {
        "always"
    } else {
        "never"
    }
}

/// The same line without terminal colours.
pub(crate) fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // ESC [ parameters letter
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

fn show(command: &Command) {
    println!("$ {}", line(command));
}

fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_named_with_its_arguments() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-here`");
        assert!(!starts(&mut Command::new("no-such-program-here")));
    }

    #[test]
    fn every_line_of_the_watched_stream_is_seen() {
        let mut seen = Vec::new();
        let status = watch(
            Command::new("sh").args(["-c", "echo one; echo two >&2; echo three; exit 4"]),
            Stream::Out,
            |line| seen.push(line.to_owned()),
        )
        .unwrap();
        assert_eq!(seen, ["one", "three"]);
        assert_eq!(status.code(), Some(4));
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(
            plain("\u{1b}[32;1m Summary\u{1b}[0m 3 passed"),
            " Summary 3 passed"
        );
    }
}
