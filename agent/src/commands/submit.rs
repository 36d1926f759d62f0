//! `mainstay submit`.

use crate::cli::SubmitArgs;
use crate::control::views::{Submission, Submitted};
use crate::control::{Input, Purpose, Reach};
use crate::exit::{Exit, Failure};
use crate::terminal;
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
            Input::File(regular(file)?)
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
        let stored = reach.submit(submission, input).await?;
        if !args.json {
            terminal::print(&stored.id)?;
        }
        submitted.push(stored);
    }
    Ok(())
}

/// A pipe or a folder among the files is a slip of the hand; standard input has a sign of its own.
pub(super) fn regular(file: &Path) -> Result<PathBuf, Failure> {
    let cannot = || Failure::new(Exit::NoInput, format!("cannot read `{}`", file.display()));
    let metadata = std::fs::metadata(file).map_err(|error| cannot().because(error))?;
    if metadata.is_file() {
        return Ok(file.to_owned());
    }
    Err(cannot().help("it is not a regular file; pipe it in, with `-` as its name"))
}
