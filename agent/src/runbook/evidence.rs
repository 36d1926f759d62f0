//! What of the present state belongs to a runbook, in lines for people; with the commands that fit, and the real names in them.

use crate::status::{Network, Status, Stop, To};
use crate::terminal::Count;
use crate::units::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One kind of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Evidence {
    /// The account of every document.
    Ledger,
    /// What the queue holds, and whether it takes more.
    Queue,
    /// The room where the data lies.
    Disk,
    /// Destinations that need attention, or have documents.
    Destinations,
    /// How often which kind of thing went wrong.
    Errors,
    /// Dead letters.
    Dead,
    /// Where documents come from, as far as that needs attention.
    Folders,
    /// What cannot be read.
    Damage,
    /// The process itself.
    Process,
    /// Until when certificates are valid.
    Certificates,
    /// The date.
    Clock,
}

impl Evidence {
    /// What is so now; no line where there is nothing to say. `tests` are the commands that try
    /// routes, by their names: of those alone that such a command finds in the configuration.
    pub(crate) fn lines(self, status: &Status, tests: &BTreeMap<String, String>) -> Vec<String> {
        match self {
            Self::Ledger => vec![status.ledger.to_string()],
            Self::Queue => queue(status),
            Self::Disk => disk(&status.data),
            Self::Destinations => destinations(status, tests),
            Self::Errors => vec![errors(status)],
            Self::Dead => dead(status),
            Self::Folders => folders(status),
            Self::Damage => damage(status),
            Self::Process => process(status),
            Self::Certificates => certificates(status),
            Self::Clock => vec![format!("the date is {}", crate::status::date(now()))],
        }
    }
}

fn now() -> u64 {
    mainstay_clock::system().wall()
}

fn queue(status: &Status) -> Vec<String> {
    let queue = &status.queue;
    let (documents, bytes) = (Count(queue.documents, "document"), Size(queue.bytes));
    let reason = match queue.reason.as_str() {
        "" => String::new(),
        reason => format!("; {reason}"),
    };
    vec![format!(
        "the queue is {}: {documents}, {bytes}{reason}",
        queue.mode
    )]
}

fn disk(data: &Path) -> Vec<String> {
    let place = data.display();
    let room = match mainstay_files::free_space(data) {
        Ok(space) if space.inodes == u64::MAX => format!("{} are free", Size(space.bytes)),
        Ok(space) => format!("{} and {} inodes are free", Size(space.bytes), space.inodes),
        Err(error) => error.to_string(),
    };
    let kind = mainstay_files::file_system(data);
    let kind = kind.map_or_else(|_| String::new(), |system| format!(" ({})", system.kind));
    vec![format!("where {place} lies{kind}, {room}")]
}

fn destinations(status: &Status, tests: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for route in &status.routes {
        let busy = |to: &&To| to.queued > 0 || !to.reason.is_empty();
        let mut any = false;
        for to in route.to.iter().filter(busy) {
            any = true;
            lines.push(destination(to, status.network.as_ref()));
        }
        let is_led_to = route.to.iter().any(|to| to.state != "unassigned");
        let test = tests.get(&route.name).filter(|_| any && is_led_to);
        lines.extend(test.map(|test| format!("  try it now: {test}")));
    }
    if lines.is_empty() {
        lines.push("no destination has documents, or anything to say".to_owned());
    }
    lines
}

fn destination(to: &To, network: Option<&Network>) -> String {
    let mut line = format!("{} ({}) is {}", to.lane, to.address, to.state);
    let mut say = |words: String| {
        line.push_str(", ");
        line.push_str(&words);
    };
    if let Some(why) = to.unreached(network) {
        say(why.to_owned());
    }
    let age = to.age();
    say(format!(
        "{} queued{age}, {} in flight",
        to.queued, to.in_flight
    ));
    if let Some(limit) = &to.limit {
        say(format!("at most {limit}"));
    }
    if let Some(seconds) = to.next_attempt_seconds {
        say(format!("next attempt in {seconds:.0} s"));
    }
    if let Some(last) = &to.last_success {
        say(format!("last delivered {last}"));
    }
    let error = Some(&to.reason).filter(|reason| !reason.is_empty());
    if let Some(error) = error.or(to.last_error.as_ref()) {
        line.push_str("; ");
        line.push_str(error);
    }
    line
}

fn certificates(status: &Status) -> Vec<String> {
    let of = |whose: String, ends: Option<u64>| {
        let until = crate::status::date(ends?.saturating_mul(1_000));
        Some(format!(
            "of {whose}, the first certificate runs out {until}"
        ))
    };
    let lines = status.routes.iter().flat_map(|route| {
        let to = route.to.iter();
        let lookups = route.lookups.iter().filter_map(|lookup| {
            let whose = format!("the lookup {} of {}", lookup.name, route.name);
            of(whose, lookup.certificate_ends)
        });
        to.filter_map(|to| of(to.lane.clone(), to.certificate_ends))
            .chain(lookups)
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        let none = "no destination and no lookup has met a certificate since the agent was started";
        lines.push(none.to_owned());
    }
    lines
}

fn errors(status: &Status) -> String {
    let Some(service) = &status.service else {
        return "errors are counted while an agent runs, and none does".to_owned();
    };
    let since = status.since.as_deref().unwrap_or_default();
    match Count(service.errors.total(), "error") {
        Count(0, _) => format!("no error since {since}"),
        count => format!("{count} since {since}: {}", service.errors),
    }
}

fn dead(status: &Status) -> Vec<String> {
    let to = status.routes.iter().flat_map(|route| &route.to);
    let mut lines: Vec<String> = to
        .filter(|to| to.dead > 0)
        .map(|to| {
            let letters = Count(to.dead, "dead letter");
            format!(
                "{letters} on {}: mainstay dead list --lane {}",
                to.lane, to.lane
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("there are no dead letters".to_owned());
    }
    lines
}

fn folders(status: &Status) -> Vec<String> {
    let from = status.routes.iter().filter_map(|route| route.from.as_ref());
    from.filter(|from| !from.reason.is_empty())
        .map(|from| format!("{} is {}; {}", from.place(), from.state, from.reason))
        .collect()
}

fn damage(status: &Status) -> Vec<String> {
    let mut lines = status.queue.damage.clone();
    if status.ledger.unreadable > 0 {
        lines.push(format!(
            "{} lost to damage",
            Count(status.ledger.unreadable, "document")
        ));
    }
    if lines.is_empty() {
        lines.push("the queue reports no damage".to_owned());
    }
    lines
}

fn process(status: &Status) -> Vec<String> {
    let Some(pid) = status.pid else {
        return vec!["no agent runs; what is said here was read from the data folder".to_owned()];
    };
    let since = status.since.as_deref().unwrap_or_default();
    let mut line = vec![format!(
        "process {pid}, version {}, since {since}",
        status.version
    )];
    // What the system says of it; of another user's process it may say less.
    let folder = PathBuf::from(format!("/proc/{pid}"));
    if let Ok(text) = std::fs::read_to_string(folder.join("status")) {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        if let (Some(memory), Some(threads)) = (field("VmRSS:"), field("Threads:")) {
            line.push(format!(
                "{} of memory, {threads} threads",
                Size(memory * 1024)
            ));
        }
    }
    if let Ok(open) = std::fs::read_dir(folder.join("fd")) {
        line.push(format!("{} files open", open.count()));
    }
    let mut lines = vec![line.join(", ")];
    lines.extend(status.stop.iter().flat_map(Stop::lines));
    lines.push(format!("  end it at once, which is safe: kill -9 {pid}"));
    lines
}
