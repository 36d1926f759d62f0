//! Bytes as text that survives in an address or a header.

use std::fmt::Write as _;

/// Encodes every byte that is not an unreserved character of RFC 3986, so that the result is one path segment, one query
/// value or one header value whatever the bytes were; they need not be UTF-8.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            _ => write!(text, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_bytes_becomes_one_path_segment() {
        assert_eq!(encode(b"report-1_a.json~"), "report-1_a.json~");
        assert_eq!(encode(b"a/b c?d#e%"), "a%2Fb%20c%3Fd%23e%25");
        assert_eq!(encode(b"\xff\x00\xc3\xa9"), "%FF%00%C3%A9");
    }
}
