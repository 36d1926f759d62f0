//! The status as a page for people: the ledger first, then what needs attention, then the rest.

use super::{
    Cache, Errors, From, FromFolder, FromKind, Job, Ledger, Lookup, Network, Queue, Route, Service,
    State, Status, Stop, To, Unwell, date,
};
use crate::scrubbing::LastScrub;
use crate::terminal::{BOLD, Count, DIM, GREEN, PLAIN, RED, Text, YELLOW, visible};
use crate::units::Size;

/// Of the files that cannot be taken, this many are shown; `--json` has a hundred.
const WAITING_SHOWN: usize = 5;

/// The page.
pub(crate) fn page(status: &Status) -> String {
    let mut page = Page(Text::default());
    page.head(status);
    page.ledger(&status.ledger);
    if let Some(network) = &status.network {
        page.network(network);
    }
    if let Some(service) = &status.service {
        page.errors(&service.errors);
    }
    for route in &status.routes {
        page.route(route, status.network.as_ref());
    }
    page.queue(&status.queue);
    if let Some(cache) = &status.cache {
        page.cache(*cache);
    }
    if let Some(last) = &status.last_scrub {
        page.last_scrub(last);
    }
    page.0.finish()
}

struct Page(Text);

impl Page {
    fn line(&mut self, words: std::fmt::Arguments<'_>) {
        self.0.line(words);
    }

    fn head(&mut self, status: &Status) {
        let (colour, word) = match status.state {
            State::Running if status.unwell.is_empty() => (GREEN, "running"),
            State::Running | State::Degraded => (YELLOW, "running, and something needs attention"),
            State::Stopping => (YELLOW, "stopping"),
            State::Stopped => (DIM, "not running"),
        };
        self.line(format_args!(
            "{BOLD}mainstay {}{PLAIN}  {colour}{word}{PLAIN}",
            status.version
        ));
        if let (Some(pid), Some(since)) = (status.pid, &status.since) {
            self.line(format_args!("agent     process {pid}, since {since}"));
        }
        let stop = status.stop.iter().flat_map(Stop::lines);
        for (number, line) in stop.enumerate() {
            let word = if number == 0 { "stop" } else { "" };
            self.line(format_args!("{word:8}  {YELLOW}{}{PLAIN}", visible(&line)));
        }
        if let Some(last) = &status.last_stop {
            self.line(format_args!("last run  {}", visible(last)));
        }
        if let Some(service) = &status.service {
            self.service(service);
        }
        for unwell in &status.unwell {
            self.unwell(unwell);
        }
        self.jobs(&status.jobs);
        self.line(format_args!("data      {}", status.data.display()));
        let station = &status.station;
        let known = [&station.name, &station.location, &station.purpose];
        let known: Vec<&str> = known.into_iter().flatten().map(String::as_str).collect();
        if !known.is_empty() {
            self.line(format_args!("station   {}", visible(&known.join(", "))));
        }
    }

    /// What does not run as it should; nothing where all does.
    fn service(&mut self, service: &Service) {
        if let Some(last) = &service.panics.last {
            let count = Count(service.panics.count, "panic");
            self.line(format_args!(
                "          {YELLOW}{count} since the start{PLAIN}, which is a bug; the last: {}",
                visible(last)
            ));
        }
        for trouble in &service.troubles {
            self.line(format_args!(
                "          {RED}{}{PLAIN}: `mainstay runbook crash-loop`",
                visible(trouble)
            ));
        }
    }

    fn jobs(&mut self, jobs: &[Job]) {
        for (number, job) in jobs.iter().enumerate() {
            let word = if number == 0 { "jobs" } else { "" };
            let (words, since) = (visible(&job.words), &job.since);
            self.line(format_args!("{word:8}  {words}, since {since}"));
        }
    }

    /// What a check saw, since when, and what to do.
    fn unwell(&mut self, unwell: &Unwell) {
        let colour = if unwell.state == "unhealthy" {
            RED
        } else {
            YELLOW
        };
        let Unwell {
            check,
            state,
            since,
            message,
            ..
        } = unwell;
        let (check, message) = (visible(check), visible(message));
        let book = unwell.runbook.as_ref().map_or_else(String::new, |book| {
            format!(": `mainstay runbook {}`", visible(book))
        });
        self.line(format_args!(
            "          {colour}{check} {state}{PLAIN} since {since}{book}"
        ));
        self.line(format_args!("            {message}"));
    }

    fn ledger(&mut self, ledger: &Ledger) {
        self.line(format_args!("ledger    {ledger}"));
        if ledger.unreadable > 0 {
            let lost = Count(ledger.unreadable, "document");
            let todo = "see `damaged/` in the queue's folder, and `mainstay queue verify`";
            self.line(format_args!(
                "          {RED}{lost} lost to damage{PLAIN}: {todo}"
            ));
        }
        if !ledger.balanced {
            let todo = "run `mainstay queue verify`, and report this";
            self.line(format_args!(
                "          {RED}the numbers do not add up{PLAIN}: {todo}"
            ));
        }
        if ledger.dead > 0 {
            self.line(format_args!(
                "          {YELLOW}dead letters wait for you{PLAIN}: `mainstay dead list`"
            ));
        }
    }

    fn network(&mut self, network: &Network) {
        let colour = match network.state.as_str() {
            "online" => GREEN,
            "offline" => RED,
            _ => DIM,
        };
        let reason = match network.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", visible(reason)),
        };
        let state = visible(&network.state);
        self.line(format_args!("network   {colour}{state}{PLAIN}{reason}"));
    }

    /// How often what went wrong; nothing where nothing did.
    fn errors(&mut self, errors: &Errors) {
        if 0 < errors.total() {
            let words = visible(&errors.to_string());
            self.line(format_args!("errors    {words} since the start"));
        }
    }

    fn route(&mut self, route: &Route, network: Option<&Network>) {
        self.line(format_args!("\n{BOLD}{}{PLAIN}", visible(&route.name)));
        if let Some(from) = &route.from {
            self.from(from);
        }
        for lookup in &route.lookups {
            self.lookup(lookup, network);
        }
        for to in &route.to {
            self.to(to, network);
        }
    }

    fn lookup(&mut self, lookup: &Lookup, network: Option<&Network>) {
        let unreached = lookup.unreached(network).filter(|_| !lookup.offline);
        let colour = if lookup.reason.is_empty() && !lookup.offline && unreached.is_none() {
            GREEN
        } else {
            YELLOW
        };
        let server = lookup.server.as_deref().unwrap_or("not asked yet");
        let server = if lookup.offline {
            "asks nobody"
        } else {
            server
        };
        // A breaker that is closed lets everything through, which is not what people take it for.
        let server = if server == "closed" {
            "answering"
        } else {
            server
        };
        let unreached = unreached.map_or_else(String::new, |why| format!(" ({why})"));
        let limit = lookup.limit.as_ref();
        let limit = limit.map_or_else(String::new, |limit| format!(", at most {limit}"));
        let limited = lookup.limited_seconds;
        let limited = limited.map_or_else(String::new, |seconds| {
            format!(", its limit lets one go in {seconds:.0} s")
        });
        self.line(format_args!(
            "  lookup  {}  {colour}{}{unreached}{PLAIN}, {} looked up{}{}{}{}{}{limit}{limited}",
            visible(&lookup.url),
            visible(server),
            lookup.documents,
            counted(lookup.fields, "fields set"),
            counted(lookup.unknown, "unknown"),
            counted(lookup.stale, "answered by what is out of date"),
            counted(lookup.without, "went on without"),
            counted(lookup.refused, "refused"),
        ));
        self.reason(&lookup.reason);
        if let Some(retrying) = &lookup.retrying {
            let (attempt, of, seconds) = (retrying.attempt, retrying.of, retrying.next_in_seconds);
            let error = visible(&retrying.error);
            self.line(format_args!(
                "          {DIM}asked again in {seconds:.0} s (attempt {attempt} of {of}): {error}{PLAIN}"
            ));
        }
    }

    fn from(&mut self, from: &From) {
        let colour = if from.reason.is_empty() {
            GREEN
        } else {
            YELLOW
        };
        let more = match &from.kind {
            FromKind::Folder(folder) => [
                counted(folder.pending + folder.settling, "under way"),
                counted(folder.quarantined, "in quarantine"),
            ],
            FromKind::Http(http) => [
                counted(http.under_way, "under way"),
                counted(http.repeats, "repeated"),
            ],
        };
        self.line(format_args!(
            "  from    {}  {colour}{}{PLAIN}, {} taken{}",
            visible(&from.place()),
            from.state,
            from.taken,
            more.concat(),
        ));
        self.reason(&from.reason);
        match &from.kind {
            FromKind::Folder(folder) => self.waiting(folder),
            FromKind::Http(http) if !http.refused.is_empty() => {
                let refused: Vec<String> = http
                    .refused
                    .iter()
                    .map(|(reason, number)| format!("{number} {}", reason.replace('_', " ")))
                    .collect();
                self.line(format_args!("          refused: {}", refused.join(", ")));
                if let Some(error) = &from.last_error {
                    self.line(format_args!(
                        "          {DIM}last refusal: {}{PLAIN}",
                        visible(error)
                    ));
                }
            }
            FromKind::Http(_) => {}
        }
    }

    fn waiting(&mut self, from: &FromFolder) {
        for waiting in from.waiting.iter().take(WAITING_SHOWN) {
            let path = visible(&waiting.path.display().to_string());
            self.line(format_args!(
                "          {YELLOW}{path}{PLAIN}: {}",
                visible(&waiting.reason)
            ));
        }
        let more = from.waiting_total.saturating_sub(WAITING_SHOWN as u64);
        if more > 0 {
            self.line(format_args!(
                "          and {more} more files that cannot be taken as they are"
            ));
        }
    }

    fn to(&mut self, to: &To, network: Option<&Network>) {
        let colour = match to.state.as_str() {
            "idle" | "delivering" => GREEN,
            "stopped" => DIM,
            _ => YELLOW,
        };
        let probe = to.next_attempt_seconds.map_or_else(String::new, |seconds| {
            if seconds < 1.0 {
                ", tried again now".to_owned()
            } else {
                format!(", next attempt in {seconds:.0} s")
            }
        });
        let limited = match to.limited_seconds {
            Some(seconds) if to.queued > 0 => format!(", its rate lets one go in {seconds:.0} s"),
            _ => String::new(),
        };
        let unreached = to.unreached(network);
        let unreached = unreached.map_or_else(String::new, |why| format!(" ({why})"));
        let limit = match &to.limit {
            Some(limit) => format!(", at most {limit}"),
            None => String::new(),
        };
        let place = if to.address.is_empty() {
            &to.lane
        } else {
            &to.address
        };
        self.line(format_args!(
            "  to      {}  {colour}{}{unreached}{PLAIN}, {} queued{}{}{}{probe}{limit}{limited}",
            visible(place),
            to.state,
            to.queued,
            to.age(),
            counted(to.in_flight, "in flight"),
            counted(to.dead, "dead"),
        ));
        self.reason(&to.reason);
        if let Some(error) = to
            .last_error
            .as_ref()
            .filter(|error| **error != to.reason && to.queued > 0)
        {
            self.line(format_args!(
                "          {DIM}last error: {}{PLAIN}",
                visible(error)
            ));
        }
    }

    fn reason(&mut self, reason: &str) {
        if !reason.is_empty() {
            self.line(format_args!("          {}", visible(reason)));
        }
    }

    fn last_scrub(&mut self, last: &LastScrub) {
        let (files, versions) = (Count(last.files, "file"), Count(last.backups, "version"));
        self.line(format_args!(
            "backups   {files} and {versions} read {}, {} repaired, {} missing",
            date(last.at),
            last.repaired,
            last.missing
        ));
        if last.damaged + last.failed > 0 {
            self.line(format_args!(
                "          {RED}{} damaged, {} could not be read{PLAIN}: run `mainstay backup scrub`",
                last.damaged, last.failed
            ));
        }
    }

    fn cache(&mut self, cache: Cache) {
        let limit = Size(cache.limit_bytes);
        let offline = if cache.offline {
            format!(
                ", {YELLOW}offline{PLAIN}: lookups ask nobody, until `offline` in [cache] is removed"
            )
        } else {
            String::new()
        };
        self.line(format_args!("cache     at most {limit}{offline}"));
    }

    fn queue(&mut self, queue: &Queue) {
        let colour = if queue.reason.is_empty() { GREEN } else { RED };
        let (mode, documents, size) = (
            &queue.mode,
            Count(queue.documents, "document"),
            Size(queue.bytes),
        );
        self.line(format_args!(
            "\nqueue     {colour}{mode}{PLAIN}, {documents}, {size}"
        ));
        self.reason(&queue.reason);
        for damage in &queue.damage {
            self.line(format_args!(
                "          {RED}damage{PLAIN}: {}",
                visible(damage)
            ));
        }
    }
}

fn counted(number: u64, what: &str) -> String {
    if number == 0 {
        String::new()
    } else {
        format!(", {number} {what}")
    }
}
