//! What the libraries say, on standard error.

use crate::exit::{Exit, Failure};
use crate::run::Display;
use mainstay_paths::Environment;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Installs the log; `default` is what it tells where nobody wished anything.
///
/// # Errors
/// The wish is not a level or a filter.
pub(crate) fn install(wish: Option<&str>, default: &str, display: &Display) -> Result<(), Failure> {
    let level = wish.unwrap_or(default);
    let filter = EnvFilter::builder().parse(level).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{level}` is not a log level"))
            .because(error)
            .help(
                "write error, warn, info, debug or trace, or a filter such as mainstay_queue=debug",
            )
    })?;
    let environment = Environment::from_process();
    let colours = std::io::stderr().is_terminal() && !environment.no_color();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Above(display.clone()))
        .with_ansi(colours)
        .with_target(false);
    // The journal has the time already.
    let installed = if environment.journal() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
    installed
        .map_err(|error| Failure::new(Exit::Unexpected, "cannot install the log").because(error))
}

/// Writes log lines above the progress line.
struct Above(Display);

impl MakeWriter<'_> for Above {
    type Writer = Display;

    fn make_writer(&self) -> Display {
        self.0.clone()
    }
}
