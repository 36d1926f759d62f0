//! `mainstay submit`.

use crate::cli::SubmitArgs;
use crate::control::views::{Submission, Submitted};
use crate::control::{Input, Purpose, Reach};
use crate::exit::{Exit, Failure};
use crate::terminal;
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Hands the files over, one document each, and prints their ids. Each is on the disk when its id is printed.
///
/// # Errors
/// A file cannot be read, or the queue does not take it; those before it are stored.
pub(crate) async fn submit(args: SubmitArgs) -> Result<Exit, Failure> {
    if args.files.len() > 1 && args.name.is_some() {
        return Err(Failure::new(Exit::Usage, "--name fits one file only")
            .help("submit the files one by one"));
    }
    let reach = Reach::open(&args.place, Purpose::Submit).await?;
    let mut submitted = Vec::new();
    let done = submit_all(&args, &reach, &mut submitted).await;
    reach.done().await;
    if args.json {
        terminal::print_json(&submitted)?;
    }
    done.map(|()| Exit::Done)
}

async fn submit_all(
    args: &SubmitArgs,
    reach: &Reach,
    submitted: &mut Vec<Submitted>,
) -> Result<(), Failure> {
    for file in &args.files {
        let is_standard = file == Path::new("-");
        let input = if is_standard {
            Input::Standard
        } else {
            Input::File(regular(file)?, None)
        };
        let own_name = file
            .file_name()
            .filter(|_| !is_standard)
            .map(|name| name.as_bytes().to_vec());
        let submission = Submission {
            route: args.route.clone(),
            name: args
                .name
                .clone()
                .map(OsStringExt::into_vec)
                .or(own_name)
                .unwrap_or_default(),
            content_type: args.content_type.clone(),
            priority: args.priority,
        };
        if is_standard && std::io::stdin().is_terminal() {
            terminal::say("reading from the terminal; Ctrl-D on a line of its own ends it");
        }
        let stored = match reach.submit(submission, input).await {
            Ok(stored) => stored,
            Err(failure) => {
                terminal::say(&format!(
                    "`{}` was not stored; {} before it",
                    terminal::visible(&file.display().to_string()),
                    match submitted.len() as u64 {
                        0 => "nothing was".to_owned(),
                        1 => "1 was".to_owned(),
                        stored => format!("{stored} were"),
                    }
                ));
                return Err(failure);
            }
        };
        if is_standard && stored.bytes == 0 {
            terminal::warn("standard input was empty: a document without content is stored");
        }
        if !args.json {
            terminal::print(&stored.id)?;
        }
        submitted.push(stored);
    }
    Ok(())
}

/// What to do about a file that cannot be opened.
pub(crate) fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            "check its name; a relative one starts in the folder that you are in"
        }
        std::io::ErrorKind::PermissionDenied => "run this as a user that may read it",
        _ => "look after the disk that it is on",
    }
}

/// A pipe or a folder among the files is a slip of the hand; standard input has a sign of its own.
pub(super) fn regular(file: &Path) -> Result<PathBuf, Failure> {
    let cannot = || Failure::new(Exit::NoInput, format!("cannot read `{}`", file.display()));
    let metadata =
        std::fs::metadata(file).map_err(|error| cannot().help(advice(&error)).because(error))?;
    if metadata.is_file() {
        return Ok(file.to_owned());
    }
    Err(cannot().help("it is not a regular file; pipe it in, with `-` as its name"))
}
