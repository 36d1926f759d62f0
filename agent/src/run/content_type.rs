//! What a document is, as far as its name tells.

/// By the name's ending; what is not known is bytes.
const KNOWN: [(&str, &str); 20] = [
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("ndjson", "application/x-ndjson"),
    ("xml", "application/xml"),
    ("csv", "text/csv"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("wav", "audio/wav"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("parquet", "application/vnd.apache.parquet"),
];

/// The media type of a file of this name.
pub(crate) fn content_type(name: &[u8]) -> &'static str {
    let ending = name
        .iter()
        .rposition(|byte| *byte == b'.')
        .map_or(&[][..], |dot| &name[dot + 1..]);
    let known = KNOWN
        .iter()
        .find(|(known, _)| ending.eq_ignore_ascii_case(known.as_bytes()));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_and_what_is_not_known_is_bytes() {
        assert_eq!(content_type(b"report.JSON"), "application/json");
        assert_eq!(content_type(b"data.csv.gz"), "application/gzip");
        assert_eq!(content_type(b"noending"), "application/octet-stream");
        assert_eq!(content_type(b".json"), "application/json");
        assert_eq!(content_type(b"\xff.xml"), "application/xml");
        assert_eq!(content_type(b""), "application/octet-stream");
    }
}
