//! What a configuration means: its defaults, what is written, what is shown, and what is refused.

mod refused;

use super::*;
use std::time::Duration;

/// A configuration in a folder of its own; relative paths start there.
struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        mainstay_files::replace(&folder.path().join("m.toml"), text.as_bytes()).unwrap();
        Self { folder }
    }

    fn load(&self) -> Result<Settings, Failure> {
        let data = DataDir::at(&self.folder.path().join("data")).unwrap();
        read(&self.folder.path().join("m.toml"), &data)
    }

    /// The problems, without the folder's own name.
    fn refused(&self) -> String {
        let failure = self.load().expect_err("this configuration cannot be");
        assert_eq!(failure.exit(), Exit::ConfigInvalid);
        let text = failure
            .to_string()
            .replace(&format!("{}/", self.folder.path().display()), "");
        let (head, problems) = text.split_once('\n').unwrap();
        assert_eq!(head, "the configuration `m.toml` cannot be used");
        problems.to_owned()
    }
}

/// The folder that a route takes files from.
fn folder_of(route: &Route) -> &Drop {
    match &route.from {
        Some(From::Folder(drop)) => drop,
        other => panic!("{other:?} is no folder"),
    }
}

const ROUTE: &str = r#"
[[route]]
name = "lab"
[route.from]
folder = "in"
[route.to.http]
url = "https://example.com/ingest"
"#;

#[test]
fn what_is_left_out_gets_its_default() {
    let settings = Written::new(ROUTE).load().unwrap();
    assert_eq!(settings.grace, Duration::from_mins(1));
    assert_eq!(settings.cancel, Duration::from_secs(2));
    assert_eq!(settings.close, Duration::from_secs(10));
    assert_eq!(settings.scrub.every, Duration::from_hours(7 * 24));
    assert_eq!(
        (settings.scrub.rate, settings.scrub.repair),
        (5 << 20, false)
    );
    let cache = &settings.cache;
    assert_eq!((cache.kept.limit_bytes, cache.offline), (100 << 20, false));
    assert_eq!(cache.kept.default_ttl, Duration::from_hours(7 * 24));
    assert_eq!(cache.kept.stale_if_error_max, Duration::from_hours(24));
    assert_eq!(
        cache.kept.stale_while_revalidate_max,
        Duration::from_mins(1)
    );
    assert!(cache.kept.rules.is_empty() && settings.warnings.is_empty());
    assert_eq!(settings.queue.max_documents, 1_000_000);
    assert_eq!(settings.queue.max_bytes, 10 << 30);
    let route = &settings.routes[0];
    assert_eq!((route.name.as_str(), route.priority), ("lab", 5));
    let from = folder_of(route);
    assert!(from.folder.is_absolute() && from.folder.ends_with("in") && !from.make);
    assert_eq!(
        (from.settle, &from.after),
        (Duration::from_secs(2), &After::Archive)
    );
    let to = &route.to[0];
    assert_eq!(
        (to.lane.as_str(), to.concurrency, to.bury_after),
        ("lab/http", 5, 5)
    );
    assert_eq!(
        (to.retry_initial, to.retry_max),
        (Duration::from_secs(1), Duration::from_mins(5))
    );
}

#[test]
fn what_is_written_holds() {
    let text = r#"
[station]
name = "T-4"
[queue]
max_documents = 10
max_bytes = "1.5 GiB"
when_full = "drop_oldest"
retain_after_ack = "1h"
dir = "q"
[shutdown]
grace = "5s"
cancel = "1min"
close = "30s"
[cache]
limit = "2 MiB"
ttl = "0s"
stale_if_error = "2h"
stale_while_revalidate = "5s"
[[cache.rule]]
pattern = "api.example.org"
[[cache.rule]]
pattern = "*.example.org"
ttl = "1h"
[[cache.rule]]
pattern = "http://localhost:8099/*"
never = true
[[route]]
name = "lab"
priority = 1
[route.from]
folder = "in"
include = ["*.csv"]
exclude = ["*.tmp"]
recursive = true
settle = "500ms"
marker = ".done"
after = { move = "done" }
[route.to.http]
url = "http://example.com/{id}"
method = "PUT"
headers = { X-Line = "4" }
auth = { basic = { user = "u", password = "file:token" } }
proxy = { url = "http://proxy:3128", bypass = ["localhost"] }
timeout = "10s"
concurrency = 2
rate = "100/min"
retry = { initial = "2s", max = "1min" }
compress = "zstd"
bury_after = 3
[route.to.nas]
path = "out"
name = "{id}-{name}"
"#;
    let written = Written::new(text);
    mainstay_files::replace_secret(&written.folder.path().join("token"), b"s3cret\n").unwrap();
    let settings = written.load().unwrap();
    assert_eq!(settings.queue.max_bytes, 3 << 29);
    assert_eq!(
        settings.queue.when_full,
        mainstay_queue::WhenFull::DropOldest
    );
    assert!(settings.queue.dir.ends_with("q"));
    let route = &settings.routes[0];
    let from = folder_of(route);
    assert!(matches!(&from.after, After::Move(dir) if dir.is_absolute() && dir.ends_with("done")));
    assert_eq!(
        (from.marker.as_deref(), from.recursive),
        (Some(".done"), true)
    );
    let lanes: Vec<&str> = route.to.iter().map(|to| to.lane.as_str()).collect();
    assert_eq!(lanes, ["lab/http", "lab/nas"]);
    let Kind::Http(http) = &route.to[0].kind else {
        panic!("it has a url")
    };
    assert_eq!(
        (http.method.as_str(), http.compress, http.timeout),
        ("PUT", Compress::Zstd, Duration::from_secs(10))
    );
    let kept = &settings.cache.kept;
    assert_eq!(
        (kept.limit_bytes, kept.default_ttl),
        (2 << 20, Duration::ZERO)
    );
    assert_eq!(kept.stale_if_error_max, Duration::from_hours(2));
    assert_eq!(kept.stale_while_revalidate_max, Duration::from_secs(5));
    let rules: Vec<_> = kept
        .rules
        .iter()
        .map(|rule| (rule.pattern.as_str(), rule.ttl, rule.never))
        .collect();
    assert_eq!(
        rules,
        [
            ("api.example.org", None, false),
            ("*.example.org", Some(Duration::from_hours(1)), false),
            ("http://localhost:8099/*", None, true),
        ]
    );
    let shown = toml::to_string(&Shown::of(&settings)).unwrap() + &format!("{settings:?}");
    assert!(
        shown.contains("file:") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn what_is_shown_can_be_written_back() {
    for text in [
        ROUTE.to_owned(),
        format!(
            "[cache]\nlimit = \"2 MiB\"\noffline = true\n[[cache.rule]]\npattern = \"a.*\"\nttl = \"0s\"\n[[cache.rule]]\npattern = \"b\"\nnever = true\n[health]\nqueue_warning = 7\n{ROUTE}"
        ),
        format!("[health]\nqueue_warning = 7\nage_warning = \"2h\"\nage_critical = \"0\"\n{ROUTE}"),
    ] {
        let shown = toml::to_string(&Shown::of(&Written::new(&text).load().unwrap())).unwrap();
        assert_eq!(
            shown.contains("queue_warning = 7"),
            text != ROUTE,
            "{shown}"
        );
        let again = Written::new(&shown).load().unwrap();
        assert_eq!(toml::to_string(&Shown::of(&again)).unwrap(), shown);
    }
}

/// What people copy from.
#[test]
fn the_example_of_the_readme_is_read_without_a_problem() {
    let readme = include_str!("../../../README.md");
    let example = readme.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    assert!(example.contains("[cache]") && example.contains("[[route]]"));
    let source = Source::new(Path::new("README.md"), example);
    match reading::read(example, &source) {
        Read::Document(_, problems) => assert_eq!(problems, []),
        Read::Problems(problems) => panic!("{problems:?}"),
    }
}

#[test]
fn a_cache_that_is_offline_is_warned_of_and_so_is_a_lookup_that_keeps_nothing() {
    let lookup = "[[route.lookup]]\nurl = \"http://127.0.0.1:1/{n}\"\ntake = { a = \"b\" }\n";
    for (more, warnings) in [
        ("", 1),
        ("cache = false\n", 2),
        ("headers = { X-Tenant = \"7\" }\n", 2),
    ] {
        let text = format!("[cache]\noffline = true\n{ROUTE}{lookup}{more}");
        let settings = Written::new(&text).load().unwrap();
        assert!(settings.cache.offline && settings.routes[0].lookups[0].settings.offline);
        let told: Vec<String> = settings.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), warnings, "{told:?}");
        assert!(
            told[0].contains("m.toml:2:11: lookups ask nobody"),
            "{told:?}"
        );
        if let Some(of_lookup) = told.get(1) {
            let place = "m.toml:10:1: nothing is kept of what this lookup asks";
            assert!(of_lookup.contains(place), "{told:?}");
        }
    }
}

#[test]
fn without_a_configuration_files_go_from_the_inbox_to_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::at(folder.path()).unwrap();
    let settings = defaults(&data).unwrap();
    let route = &settings.routes[0];
    assert_eq!(
        (route.name.as_str(), route.to[0].lane.as_str()),
        ("inbox", "inbox/folder")
    );
    let from = folder_of(route);
    assert!(from.make && from.folder == data.inbox());
    assert!(matches!(&route.to[0].kind, Kind::Folder { path, .. } if *path == data.outbox()));
}

#[test]
fn flags_make_one_route_and_are_refused_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::at(&folder.path().join("data")).unwrap();
    let from = folder.path().join("in");
    let settings = from_flags(Some(&from), Some("http://h/ingest".as_ref()), &data).unwrap();
    assert_eq!(
        (
            settings.routes[0].name.as_str(),
            settings.routes[0].to[0].lane.as_str()
        ),
        ("cli", "cli/http")
    );
    let failure = from_flags(Some(&from), Some("htp://h/".as_ref()), &data).unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    assert!(failure.to_string().contains("--to: "), "{failure}");
    let failure = from_flags(Some(folder.path()), None, &data).unwrap_err();
    assert!(failure.to_string().contains("--from: "), "{failure}");
}

const HUB: &str = r#"
[[route]]
name = "hub"
[route.from.http]
listen = "127.0.0.1:8080"
[route.to.http]
url = "https://example.com/ingest"
"#;

#[test]
fn a_route_over_http_has_its_defaults_and_is_shown_as_it_could_be_written() {
    let written = Written::new(HUB);
    let settings = written.load().unwrap();
    let Some(From::Http(ingest)) = &settings.routes[0].from else {
        panic!("it listens")
    };
    assert_eq!(ingest.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        (
            ingest.max_body,
            ingest.max_concurrent,
            ingest.max_connections
        ),
        (256 << 20, 64, 256)
    );
    assert_eq!(ingest.timeout, Duration::from_mins(5));
    assert!(ingest.token.is_none() && settings.warnings.is_empty());
    let shown = toml::to_string(&Shown::of(&settings)).unwrap();
    let again = Written::new(&shown).load().unwrap();
    assert_eq!(toml::to_string(&Shown::of(&again)).unwrap(), shown);
}
