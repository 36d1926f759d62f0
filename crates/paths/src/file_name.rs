//! A name that came from outside, made fit to be the name of a file of ours.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// 55 bytes below what the narrowest file system takes, for ids and suffixes that a caller adds.
const LEN_MAX: usize = 200;

/// What comes after the last dot of a long name is kept if it is no longer than this, with its dot.
const EXTENSION_MAX: usize = 20;

/// The name of what has no name left.
const NAMELESS: &str = "unnamed";

/// Makes of any bytes the name of a file: one that Linux, macOS and Windows take, that stays in its folder, is not hidden, and
/// reads as what it is.
///
/// - what is not UTF-8, not printable, a direction mark, invisible, or one of `/ \ < > : " | ? *` becomes `_`;
/// - a letter and its accents become one character where there is one (NFC), so that a name is the same on every system;
/// - spaces and dots at the end, and spaces at the start, go; a `.`, `-` or `~` at the start becomes `_`;
/// - names of Windows devices (`CON`, `com1.txt`) get a `_` in front;
/// - it is cut to 200 bytes, between characters; an extension of up to 20 bytes is kept;
/// - what is empty then is called `unnamed`.
///
/// A name that is fit already is not changed.
///
/// ```
/// use mainstay_paths::safe_file_name;
///
/// assert_eq!(safe_file_name(b"report 7.json"), "report 7.json");
/// assert_eq!(safe_file_name(b"../../etc/passwd"), "_._.._etc_passwd");
/// assert_eq!(safe_file_name(b"aux.txt"), "_aux.txt");
/// assert_eq!(safe_file_name(b"m\xfcll"), "m_ll");
/// ```
pub fn safe_file_name(name: &[u8]) -> String {
    let mut safe = printable(name);
    trim(&mut safe);
    if safe.starts_with(['.', '-', '~']) {
        safe.replace_range(..1, "_");
    }
    if is_device(&safe) {
        safe.insert(0, '_');
    }
    let mut safe = cut(safe);
    trim(&mut safe);
    if safe.is_empty() {
        NAMELESS.to_owned()
    } else {
        safe
    }
}

/// Every character that has no place in a name, and what is no character, becomes `_`; letters and their accents are put together.
fn printable(name: &[u8]) -> String {
    let mut safe = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        safe.extend(
            chunk
                .valid()
                .chars()
                .map(|character| if is_fit(character) { character } else { '_' }),
        );
        if !chunk.invalid().is_empty() {
            safe.push('_');
        }
    }
    match is_nfc_quick(safe.chars()) {
        IsNormalized::Yes => safe,
        _ => safe.nfc().collect(),
    }
}

fn is_fit(character: char) -> bool {
    let is_syntax = matches!(
        character,
        '/' | '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*'
    );
    let is_invisible = matches!(
        character,
        '\u{ad}' // soft hyphen
        | '\u{34f}' // combining grapheme joiner
        | '\u{61c}' // direction mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
        | '\u{17b4}' | '\u{17b5}' // Khmer vowels without a shape
        | '\u{180b}'..='\u{180f}' // Mongolian selectors
        | '\u{200b}'..='\u{200f}' // without width, and direction marks
        | '\u{2028}'..='\u{202e}' // line and paragraph separators, direction marks
        | '\u{2060}'..='\u{206f}' // joiners, invisible operators, direction marks
        | '\u{fe00}'..='\u{fe0f}' // selectors of variants
        | '\u{feff}' // byte order mark
        | '\u{fff0}'..='\u{fffb}' // annotations
        | '\u{1d173}'..='\u{1d17a}' // of musical notation
        | '\u{e0000}'..='\u{e0fff}' // tags and more selectors
    );
    // Of all white space only the plain one: the others look like it, or like nothing.
    let is_odd_space = character.is_whitespace() && character != ' ';
    !(is_syntax || is_invisible || is_odd_space || character.is_control())
}

/// Windows drops spaces and dots at the end when it opens a file, so that two names mean one.
fn trim(name: &mut String) {
    let end = name.trim_end_matches([' ', '.']).len();
    name.truncate(end);
    let start = name.len() - name.trim_start_matches(' ').len();
    name.drain(..start);
}

/// Whether Windows takes the name for a device; what comes after the first dot makes no difference to it.
fn is_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches(' ')
        .to_ascii_uppercase();
    if matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) {
        return true;
    }
    let port = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|number| {
        matches!(number, "¹" | "²" | "³")
            || (number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
    })
}

fn cut(name: String) -> String {
    if name.len() <= LEN_MAX {
        return name;
    }
    let extension = match name.rfind('.') {
        Some(dot) if name.len() - dot <= EXTENSION_MAX => name.split_at(dot).1,
        _ => "",
    };
    let stem = name
        .split_at(name.floor_char_boundary(LEN_MAX - extension.len()))
        .0;
    format!("{stem}{extension}")
}
