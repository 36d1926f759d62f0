//! What is refused, in the words that an operator reads.

use super::*;

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
