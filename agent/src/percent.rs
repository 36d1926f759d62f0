//! Bytes as text that survives in a header: a file's name need not be UTF-8.

use std::fmt::Write;

/// Every byte that is not an unreserved character of RFC 3986 becomes `%XX`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            _ => write!(text, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    text
}

/// `%41` becomes `A`; a percent sign that begins no byte stays as it is.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let hex = |at: usize| {
        text.get(at)
            .and_then(|digit| char::from(*digit).to_digit(16))
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_decoded_byte_for_byte() {
        assert_eq!(decode(b"a%20b%C3%BC"), "a bü".as_bytes());
        assert_eq!(decode(b"%FF%fe"), b"\xff\xfe");
        assert_eq!(decode(b"100%"), b"100%");
        assert_eq!(decode(b"%zz"), b"%zz");
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_bytes() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), all);
        assert!(encode(&all).is_ascii());
    }
}
