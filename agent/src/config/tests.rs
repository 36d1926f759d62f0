//! What is refused, in the words that an operator reads.

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

/// A rule that is not obeyed, or a limit that keeps nothing, would look as if all were well.
#[test]
fn a_cache_that_cannot_be_is_refused_at_each_place() {
    let text = r#"
[cache]
limit = 10
[[cache.rule]]
pattern = "localhost:8099"
never = true
[[cache.rule]]
pattern = "*.example.org"
ttl = "1h"
never = true
[[cache.rule]]
pattern = "https://api.example.org/v1/*"
ttl = "0s"
[[cache.rule]]
pattern = "ftp://example.org/*"
ttl = "0s"
[[cache.rule]]
pattern = "a["
never = true
[[cache.rule]]
pattern = "example.com"
"#;
    let expected = "\
m.toml:3:9: `limit` is 10 B, and less than 64 KiB keeps next to nothing
  help: write it like \"100 MiB\"; to keep nothing, write `cache = false` at each lookup
m.toml:5:11: `localhost:8099` fits no host, which has no port and no path: write `example.org`, `*.example.org`, or a whole address \
such as `https://example.org/api/*`
  help: see docs/operating/lookups.md
m.toml:9:7: what is never kept has no `ttl`
  help: remove it, or `never`
m.toml:12:11: `https://api.example.org/v1/*` never counts: all that fits it fits the rule at m.toml:8:11, and the first that fits counts
  help: write it in front of that one, or remove it
m.toml:15:11: `ftp://example.org/*` fits no address: write it as it is asked for, such as `https://example.org/api/*`, without a user \
and without what begins at `#`, and what is not ASCII as `%C3%BC`
  help: see docs/operating/lookups.md
m.toml:18:11: `a[` is no pattern, see the cause: error parsing glob 'a[': unclosed character class; missing ']'
  help: see docs/operating/lookups.md
m.toml:20:1: the rule says nothing, and stands in front of no other
  help: give it a `ttl`, or write `never = true`";
    assert_eq!(Written::new(&format!("{text}{ROUTE}")).refused(), expected);
    for (section, place) in [
        (
            "[cache]\nlimit = \"much\"\n",
            "m.toml:2:9: `much` is not a size",
        ),
        (
            "[cache]\nlimit = -1\n",
            "m.toml:2:9: a size cannot be negative",
        ),
        (
            "[cache]\nttl = 7\n",
            "m.toml:2:7: invalid type: integer `7`, expected a duration",
        ),
        (
            "[cache]\noffline = \"yes\"\n",
            "m.toml:2:11: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "[cache]\nlimits = 7\n",
            "m.toml:2:1: unknown field `limits`",
        ),
        (
            "[[cache.rule]]\npattern = \"a\"\nnevr = true\n",
            "m.toml:3:1: unknown field `nevr`, expected one of `pattern`, `ttl`, `never`\n  help: did you mean `never`?",
        ),
        (
            "[[cache.rule]]\nttl = \"1h\"\n",
            "m.toml:1:1: missing field `pattern`",
        ),
    ] {
        let refused = Written::new(&format!("{section}{ROUTE}")).refused();
        assert!(refused.starts_with(place), "{section}{refused}");
    }
    let many: Vec<String> = (0..257)
        .map(|number| format!("[[cache.rule]]\npattern = \"a{number}.org\"\nnever = true\n"))
        .collect();
    assert_eq!(
        Written::new(&format!("{}{ROUTE}", many.concat())).refused(),
        "m.toml:769:1: there are more than 256 rules\n  \
         help: each is looked at for every request: let one pattern stand for many"
    );
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

/// Whoever mends one mistake after the other runs the check as often.
#[test]
fn all_that_cannot_be_is_told_at_once_however_different() {
    let text = format!(
        "[queue]\nmax_dokuments = 7\nwhen_full = \"wait\"\n{ROUTE}timeout = \"soon\"\nconcurrency = \"many\"\n[[route]]\nname = 7\n"
    );
    let told = Written::new(&text).refused();
    let places: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("m.toml:"))
        .collect();
    let starts = [
        "m.toml:2:1: unknown",
        "m.toml:3:13: unknown",
        "m.toml:11:11:",
        "m.toml:12:15:",
        "m.toml:14:8:",
    ];
    assert_eq!(places.len(), starts.len(), "{told}");
    for (place, start) in places.iter().zip(starts) {
        assert!(place.starts_with(start), "{place}: {start}");
    }
    // Words that mean nothing hide nothing.
    let text =
        format!("colour = \"blue\"\n[health]\nqueue_warning = 9\nqueue_critical = 3\n{ROUTE}");
    let told = Written::new(&text).refused();
    for start in [
        "m.toml:1:1: unknown field `colour`",
        "m.toml:4:18: `queue_critical` is 3",
    ] {
        assert!(told.contains(start), "{start}: {told}");
    }
    // What is no TOML is told as that, and nothing besides.
    let told = Written::new("[queue\nmax_documents = \n[station]\nname = x\n").refused();
    assert!(told.matches("m.toml:").count() > 1, "{told}");
    // One mistake many times fills no screen.
    let many: Vec<String> = (0..1_000)
        .map(|number| format!("word{number} = 1"))
        .collect();
    let told = Written::new(&many.join("\n")).refused();
    assert_eq!(told.matches("m.toml:").count(), 50, "{told}");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_one_that_was_meant() {
    assert_eq!(
        Written::new(&ROUTE.replace("folder =", "fodler =")).refused(),
        "m.toml:5:1: unknown field `fodler`, expected one of `folder`, `http`, `include`, `exclude`, `recursive`, `settle`, \
         `marker`, `after`\n  help: did you mean `folder`?"
    );
    assert_eq!(
        Written::new("[queue]\nmax_byte = 5\n").refused(),
        "m.toml:2:1: unknown field `max_byte`, expected one of `max_documents`, `max_bytes`, `when_full`, \
         `retain_after_ack`, `dir`\n  help: did you mean `max_bytes`?"
    );
    assert_eq!(
        Written::new("[queue]\nwhen_full = \"drop_newest\"\n").refused(),
        "m.toml:2:13: unknown variant `drop_newest`, expected one of `block`, `reject`, `drop_oldest`\n  \
         help: did you mean `drop_oldest`?"
    );
}

#[test]
fn a_wrong_type_is_refused_with_its_place_and_the_right_form() {
    assert_eq!(
        Written::new("[shutdown]\ngrace = 5\n").refused(),
        "m.toml:2:9: invalid type: integer `5`, expected a duration in quotes, such as \"2s\" or \"5min\""
    );
    assert_eq!(
        Written::new("[shutdown]\ngrace = \"5 parsecs\"\n").refused(),
        "m.toml:2:9: `5 parsecs` is not a duration; write it like `200ms`, `2s`, `5min`, `1h 30min` or `7d`"
    );
    assert_eq!(
        Written::new(&ROUTE.replace("folder = \"in\"", "folder = \"in\"\nafter = \"burn\""))
            .refused(),
        "m.toml:6:9: unknown variant `burn`, expected one of `archive`, `delete`, `keep`"
    );
    assert_eq!(
        Written::new("[queue\n")
            .refused()
            .lines()
            .next()
            .unwrap()
            .split(':')
            .next(),
        Some("m.toml")
    );
}

#[test]
fn everything_that_cannot_be_is_told_at_once_in_the_order_of_the_file() {
    let text = r#"
[[route]]
name = "lab 1"
priority = 11
[route.from]
folder = "in"
[route.to.http]
url = "ftp://example.com/"
method = "GET"
auth = { bearer = "env:MAINSTAY_TEST_NOT_SET" }

[[route]]
name = "two"
[route.from]
folder = "./in"
[route.to.out]
path = "in"
method = "PUT"
[route.to.nothing]

[[route]]
name = "two"
[route.from]
folder = "data/queue"
"#;
    let expected = "\
m.toml:3:8: `lab 1` is not a name for a route
  help: begin with a letter or digit, then letters, digits, `-`, `_` and `.`, 64 at most
m.toml:4:12: a priority is 1 (first) to 10 (last)
  help: leave it out for 5
m.toml:9:10: the method `GET` does not hand over a document
  help: write \"POST\" or \"PUT\"
m.toml:10:19: the secret is missing: the environment variable MAINSTAY_TEST_NOT_SET is not set
  help: put it there, or write another env:, file: or credential:
m.toml:15:10: files in `in` would be taken by two routes, see m.toml:6:10
  help: give each route a drop folder of its own
m.toml:17:8: what is delivered to `in` would be taken again, see m.toml:6:10
  help: deliver to a folder that no route takes files from
m.toml:18:10: `method` belongs to an HTTP destination, and this one is a folder
  help: remove it
m.toml:19:11: the destination `nothing` has neither a `url` nor a `path`
  help: give it a `url` (HTTP) or a `path` (a folder)
m.toml:21:1: the route `two` goes nowhere
  help: add [route.to.http] with a `url`, or [route.to.folder] with a `path`
m.toml:22:8: the route name `two` is used twice, first at m.toml:13:8
  help: give every route a name of its own
m.toml:24:10: the drop folder `data/queue` lies in the data folder
  help: only `inbox` in the data folder may be one; choose a folder elsewhere";
    assert_eq!(Written::new(text).refused(), expected);
}

#[test]
fn an_address_that_cannot_be_is_refused_at_its_destination() {
    let refused = Written::new(&ROUTE.replace("https://", "ftp://")).refused();
    assert_eq!(
        refused,
        "m.toml:6:11: the address of the destination is neither http nor https; write it as http://host/path or https://host/path"
    );
    let refused = Written::new(&ROUTE.replace("https://", "https://user:s3cret@")).refused();
    assert!(
        refused.starts_with("m.toml:6:11: ") && !refused.contains("s3cret"),
        "{refused}"
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused_and_one_in_the_file_itself_is_warned_of() {
    let text = ROUTE.to_owned() + "auth = { bearer = \"file:token\" }\n";
    let written = Written::new(&text);
    mainstay_files::replace(&written.folder.path().join("token"), b"s3cret").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(written.folder.path().join("token"), open).unwrap();
    let refused = written.refused();
    assert!(
        refused.contains("m.toml:8:19: the secret is missing: others can read or change `token`"),
        "{refused}"
    );

    let inline = Written::new(&(ROUTE.to_owned() + "auth = { bearer = \"s3cret\" }\n"));
    let settings = inline.load().unwrap();
    assert_eq!(settings.warnings.len(), 1);
    assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
}

#[test]
fn a_data_folder_in_a_drop_folder_is_refused() {
    let refused = Written::new(&ROUTE.replace("folder = \"in\"", "folder = \".\"")).refused();
    assert!(refused.contains("lies in the drop folder"), "{refused}");
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

#[test]
fn an_address_that_others_can_reach_needs_a_token_and_is_warned_of() {
    let open = HUB.replace("127.0.0.1:8080", "0.0.0.0:8080");
    assert_eq!(
        Written::new(&open).refused(),
        "m.toml:5:10: whoever reaches 0.0.0.0:8080 could hand in documents\n  \
         help: give it a `token`, such as token = \"file:hub.token\", or listen on 127.0.0.1"
    );
    let closed = open.replace("8080\"", "8080\"\ntoken = \"file:token\"");
    let written = Written::new(&closed);
    mainstay_files::replace_secret(&written.folder.path().join("token"), b"s3cret\n").unwrap();
    let settings = written.load().unwrap();
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    let shown = toml::to_string(&Shown::of(&settings)).unwrap() + &format!("{settings:?}");
    assert!(
        shown.contains("file:") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn a_route_over_http_that_cannot_be_is_refused_at_each_place() {
    let text = r#"
[[route]]
name = "a"
[route.from]
folder = "in"
[route.from.http]
listen = "127.0.0.1:8080"
[route.to.http]
url = "https://example.com/ingest"
[[route]]
name = "b"
[route.from]
include = ["*.csv"]
[route.from.http]
listen = "localhost:8080"
types = ["csv"]
max_body = "1 GiB"
max_concurrent = 0
timeout = "0s"
[route.to.http]
url = "https://example.com/ingest"
[[route]]
name = "c"
[route.from]
[route.to.http]
url = "https://example.com/ingest"
[[route]]
name = "d"
[route.from.http]
listen = "127.0.0.1:8080"
[route.to.http]
url = "https://example.com/ingest"
"#;
    let refused = Written::new(text).refused();
    let lines: Vec<&str> = refused
        .lines()
        .filter(|line| !line.starts_with("  help"))
        .collect();
    assert_eq!(
        lines,
        [
            "m.toml:6:1: a route takes documents from a `folder` or over `http`, not both",
            "m.toml:13:12: `include` belongs to a folder, and this route takes documents over http",
            "m.toml:15:10: `localhost:8080` is not an address to listen on",
            "m.toml:16:10: `csv` is not a media type",
            "m.toml:17:12: `max_body` is 1 byte to 256 MiB",
            "m.toml:18:18: `max_concurrent` is 1 to 1024",
            "m.toml:19:11: a timeout of nothing lets no document in",
            "m.toml:24:1: `from` has neither a `folder` nor an `http`",
            "m.toml:30:10: two routes listen on 127.0.0.1:8080, see m.toml:7:10",
        ]
    );
}

#[test]
fn a_route_where_the_agent_tells_of_its_health_is_refused() {
    let refused = |health: &str, listen: &str| {
        let text = HUB.replace("127.0.0.1:8080", listen);
        Written::new(&format!("[health]\n{health}\n{text}")).refused()
    };
    assert_eq!(
        refused("listen = \"127.0.0.1:8080\"", "127.0.0.1:8080"),
        "m.toml:7:10: the agent tells of its health on 127.0.0.1:8080, see m.toml:2:10\n  \
         help: give each a port of its own"
    );
    let all = refused("listen = \"[::1]:8080\"", "[::]:8080");
    assert!(all.contains("tells of its health on [::]:8080"), "{all}");
    let default = refused("", "127.0.0.1:9464");
    assert!(
        default.starts_with("m.toml:7:10: ") && default.contains("`listen` is left out"),
        "{default}"
    );
    let beside = HUB.replace("8080", "9464");
    assert!(Written::new(&beside).load().is_ok(), "without [health]");
}

#[test]
fn a_stop_that_leaves_no_time_to_give_up_or_to_close_is_refused() {
    assert_eq!(
        Written::new(&format!(
            "[shutdown]\ncancel = \"0s\"\nclose = \"999ms\"\n{ROUTE}"
        ))
        .refused(),
        "m.toml:2:10: 0s is too short: what was told to give up could not come to its next wait\n  \
         help: write `100ms` or more\n\
         m.toml:3:9: 999ms is too short: the queue's disk could not confirm what was delivered\n  \
         help: write `1s` or more"
    );
}
