//! `mainstay queue export` and `import`.

use crate::cli::{ExportArgs, ImportArgs};
use crate::control::views::Export;
use crate::control::{Input, Purpose, Reach, unwritten};
use crate::exit::{Exit, Failure};
use crate::showing::Showing;
use crate::terminal::{self, Count, PLAIN, YELLOW};
use crate::units::Size;
use mainstay_files::{ErrorKind, Writer};
use mainstay_queue::{Exported, State};
use mainstay_work::{Counter, Unit};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// What is written at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Writes documents as a tar archive, to a file that appears when it is whole, or to standard output.
///
/// # Errors
/// The queue cannot be reached or read, or the archive not be written: then no file is left behind.
pub(crate) async fn export(args: ExportArgs) -> Result<Exit, Failure> {
    let wish = Export {
        state: args.state.map(State::from),
        lane: args.lane,
    };
    let archive = match args.to.as_deref() {
        Some(path) if path != Path::new("-") => Some(create(path)?),
        _ if io::stdout().is_terminal() => {
            return Err(
                Failure::new(Exit::Usage, "an archive is nothing for a terminal")
                    .help("name a file with --to FILE, or send it on with `| COMMAND`"),
            );
        }
        _ => None,
    };
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    let showing = Showing::begin("export", "writing", Unit::Bytes, None);
    let counter = showing.counter();
    let written = match archive {
        None => {
            let mut out = Noting::new(io::stdout().lock(), counter);
            let exported = reach.export(&wish, &mut out).await;
            out.outcome(exported)
                .and_then(|exported| out.into_inner().map(|_| (exported, None)))
                .map_err(|unmade| unmade.failure(None))
        }
        Some((writer, path)) => {
            let mut out = Noting::new(writer, counter);
            let exported = reach.export(&wish, &mut out).await;
            out.outcome(exported)
                .and_then(|exported| out.into_inner().map(|writer| (exported, writer)))
                .map_err(|unmade| unmade.failure(Some(&path)))
                .and_then(|(exported, writer)| {
                    let committed = writer.commit_new();
                    committed.map_err(|error| not_written(&path, error))?;
                    Ok((exported, Some(path)))
                })
        }
    };
    reach.done().await;
    let (exported, path) = written?;
    showing.finish();
    tell(&exported, path.as_deref(), args.json)?;
    Ok(if exported.unreadable == 0 {
        Exit::Done
    } else {
        Exit::Damaged
    })
}

fn create(path: &Path) -> Result<(Writer, PathBuf), Failure> {
    if path.symlink_metadata().is_ok() {
        let message = format!("`{}` is there already, and was not touched", path.display());
        return Err(Failure::new(Exit::NoOutput, message).help("choose another name with --to"));
    }
    let writer = Writer::create(path).map_err(|error| not_written(path, error))?;
    Ok((writer, path.to_owned()))
}

fn not_written(path: &Path, error: mainstay_files::Error) -> Failure {
    let help = advice(error.kind());
    let message = format!("cannot write the archive `{}`", path.display());
    Failure::new(Exit::NoOutput, message)
        .because(error)
        .help(help)
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::DiskFull | ErrorKind::Quota => "make room, or name a file on another disk",
        ErrorKind::NotFound => "make its folder first, or name another file with --to",
        _ => "name another file with --to",
    }
}

/// An archive that is not whole: because of the queue, or because it could not be written.
enum Unmade {
    Queue(Failure),
    Output(io::Error),
}

impl Unmade {
    fn failure(self, path: Option<&Path>) -> Failure {
        let error = match self {
            Self::Queue(failure) => return failure,
            Self::Output(error) => error,
        };
        let Some(path) = path else {
            return unwritten(error);
        };
        let help = advice(ErrorKind::of(&error));
        let message = format!("cannot write the archive `{}`", path.display());
        Failure::new(Exit::NoOutput, message)
            .because(error)
            .help(format!("{help}; nothing is left of it"))
    }
}

/// Writes in large pieces, and remembers that it could not: whoever writes through it tells of the document instead.
struct Noting<W: Write> {
    out: BufWriter<W>,
    failed: Option<io::Error>,
    counter: Option<Counter>,
}

impl<W: Write> Noting<W> {
    fn new(out: W, counter: Option<Counter>) -> Self {
        Self {
            out: BufWriter::with_capacity(PIECE, out),
            failed: None,
            counter,
        }
    }

    fn outcome<T>(&mut self, done: Result<T, Failure>) -> Result<T, Unmade> {
        match self.failed.take() {
            Some(error) => Err(Unmade::Output(error)),
            None => done.map_err(Unmade::Queue),
        }
    }

    fn into_inner(mut self) -> Result<W, Unmade> {
        self.out.flush().map_err(Unmade::Output)?;
        let out = self.out.into_inner();
        out.map_err(|error| Unmade::Output(error.into_error()))
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            io::Error::from(kind)
        })
    }
}

impl<W: Write> Write for Noting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        if let (Ok(written), Some(counter)) = (&result, &self.counter) {
            counter.add(*written as u64);
        }
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.note(result)
    }
}

fn tell(exported: &Exported, path: Option<&Path>, json: bool) -> Result<(), Failure> {
    if json && path.is_some() {
        return terminal::print_json(exported);
    }
    let Exported {
        documents,
        bytes,
        unreadable,
    } = *exported;
    let place = path.map_or_else(
        || "standard output".to_owned(),
        |path| format!("`{}`", path.display()),
    );
    // On standard error, because the archive itself may be on standard output.
    terminal::say(&format!(
        "export: {}, {}, to {place}; they stay in this queue too",
        Count(documents, "document"),
        Size(bytes)
    ));
    if unreadable > 0 {
        terminal::say(&format!(
            "{YELLOW}{} cannot be read and {} not in it{PLAIN}: `mainstay queue verify` says which",
            Count(unreadable, "document"),
            if unreadable == 1 { "is" } else { "are" }
        ));
    }
    Ok(())
}

/// Stores the documents of an archive, each once.
///
/// # Errors
/// The archive cannot be read or is not one, or the queue has no room; what came before is stored.
pub(crate) async fn import(args: ImportArgs) -> Result<Exit, Failure> {
    let mut showing = None;
    let input = if args.file == Path::new("-") {
        Input::Standard
    } else {
        let path = super::submit::regular(&args.file)?;
        let len = std::fs::metadata(&path).map(|facts| facts.len()).ok();
        let begun = showing.insert(Showing::begin("import", "reading", Unit::Bytes, len));
        Input::File(path, begun.counter())
    };
    let reach = Reach::open(&args.place, Purpose::Submit).await?;
    let imported = reach.import(input).await;
    let status = reach.status().await;
    reach.done().await;
    let imported = imported?;
    if let Some(showing) = showing {
        showing.finish();
    }
    if args.json {
        terminal::print_json(&imported)?;
    } else {
        terminal::print(&format!(
            "import: {} new, {} already there",
            imported.accepted, imported.already_there
        ))?;
    }
    let routes = status.into_iter().flat_map(|status| status.routes);
    for lane in routes.flat_map(|route| route.to) {
        if lane.state == "unassigned" && lane.queued > 0 {
            terminal::warn(&format!(
                "no route leads to `{}`: its {} wait until one does",
                lane.lane,
                Count(lane.queued, "document")
            ));
        }
    }
    Ok(Exit::Done)
}
