//! What tests say they could not measure: a line `NOT MEASURED: reason` in the output of a test that passed.

/// What such a line starts with.
const MARK: &str = "NOT MEASURED:";

/// Reads the XML report of nextest: `test name: reason` for each.
pub(super) fn in_junit(xml: &str) -> Vec<String> {
    let mut test = String::new();
    let mut notes = Vec::new();
    for line in xml.lines() {
        if let Some((_, rest)) = line.split_once("<testcase ")
            && let Some(name) = attribute(rest, "name")
        {
            test = match attribute(rest, "classname") {
                Some(binary) => format!("{binary} {name}"),
                None => name,
            };
        }
        if let Some(reason) = reason(line) {
            notes.push(format!("{test}: {}", unescaped(reason)));
        }
    }
    notes
}

/// Reads plain output, which does not say which test printed what.
pub(super) fn in_output<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.filter_map(reason).map(str::to_owned).collect()
}

fn reason(line: &str) -> Option<&str> {
    let (_, reason) = line.split_once(MARK)?;
    let end = reason.find("</system-").unwrap_or(reason.len());
    Some(reason[..end].trim())
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    // The blank in front keeps `name` from matching the end of `classname`.
    let padded = format!(" {tag}");
    let (_, rest) = padded.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(unescaped(value))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_could_not_measure_is_named() {
        let xml = r#"<testsuite name="mainstay-agent::it" tests="2">
        <testcase name="full_disk::intake_stops" classname="mainstay-agent::it" time="0.002">
            <system-out>running 1 test
NOT MEASURED: no mount: needs root &amp; tmpfs
</system-out>
        </testcase>
        <testcase name="other" classname="mainstay-agent::it">
            <system-err>NOT MEASURED: one line</system-err>
        </testcase>"#;
        assert_eq!(
            in_junit(xml),
            [
                "mainstay-agent::it full_disk::intake_stops: no mount: needs root & tmpfs",
                "mainstay-agent::it other: one line",
            ]
        );
    }

    #[test]
    fn plain_output_is_read_too() {
        let lines = ["running 1 test", "NOT MEASURED: no strace", "ok"];
        assert_eq!(in_output(lines.into_iter()), ["no strace"]);
    }
}
