//! What a content has to be before it may take the place of another one.

#[cfg(feature = "schema")]
mod schema;

#[cfg(feature = "schema")]
pub use schema::Schema;

use std::io::{self, Read};

/// The most bytes of TOML that are read; it can only be understood as a whole.
#[cfg(feature = "formats")]
const TOML_MAX: u64 = 16 * 1024 * 1024;

/// Looks at a content, and says what is wrong with it.
///
/// A function of a reader is one:
///
/// ```
/// use mainstay_files::WriteOptions;
/// use std::io::Read;
///
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("report.txt");
/// let options = WriteOptions::new().checking(|content: &mut dyn Read| {
///     let mut text = String::new();
///     content.read_to_string(&mut text).map_err(|error| error.to_string())?;
///     if text.starts_with("serial ") { Ok(()) } else { Err("it has no serial number".to_owned()) }
/// });
/// assert!(options.write(&path, b"serial 20456\n").is_ok());
/// assert!(options.write(&path, b"passed\n").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Check: Send + Sync {
    /// Reads as much of it as it takes.
    ///
    /// # Errors
    ///
    /// What is wrong, and where, in words that stand behind "cannot replace `x`: ".
    fn check(&self, content: &mut dyn Read) -> Result<(), String>;
}

impl<F> Check for F
where
    F: Fn(&mut dyn Read) -> Result<(), String> + Send + Sync,
{
    fn check(&self, content: &mut dyn Read) -> Result<(), String> {
        self(content)
    }
}

/// A form that a content may have to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// UTF-8, with or without a byte order mark.
    Text,
    /// One JSON value (RFC 8259).
    #[cfg(feature = "formats")]
    Json,
    /// A TOML document of up to 16 MiB.
    #[cfg(feature = "formats")]
    Toml,
    /// A well-formed XML document in UTF-8.
    #[cfg(feature = "formats")]
    Xml,
    /// Comma-separated values (RFC 4180), each line with as many fields as the first.
    #[cfg(feature = "formats")]
    Csv,
}

impl Check for Format {
    fn check(&self, content: &mut dyn Read) -> Result<(), String> {
        match self {
            Self::Text => check_text(content),
            #[cfg(feature = "formats")]
            Self::Json => check_json(content),
            #[cfg(feature = "formats")]
            Self::Toml => check_toml(content),
            #[cfg(feature = "formats")]
            Self::Xml => check_xml(content),
            #[cfg(feature = "formats")]
            Self::Csv => check_csv(content),
        }
    }
}

fn check_text(content: &mut dyn Read) -> Result<(), String> {
    io::copy(&mut Utf8::new(content), &mut io::sink())
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Hands on what it reads as long as it is UTF-8.
struct Utf8<'a> {
    inner: &'a mut dyn Read,
    /// The beginning of a letter whose end has not come yet, and how much of it there is.
    begun: ([u8; 4], usize),
    /// How much was read before it.
    before: u64,
}

impl<'a> Utf8<'a> {
    fn new(inner: &'a mut dyn Read) -> Self {
        Self {
            inner,
            begun: ([0; 4], 0),
            before: 0,
        }
    }

    fn refused(&self, at: usize) -> io::Error {
        let at = self.before + at as u64;
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is no UTF-8 from byte {at} on"),
        )
    }

    fn look_at(&mut self, read: &[u8]) -> io::Result<()> {
        let (begun, len) = self.begun;
        let all = [begun.get(..len).unwrap_or_default(), read].concat();
        let good = match std::str::from_utf8(&all) {
            Ok(_) => all.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(self.refused(error.valid_up_to())),
        };
        let rest = all.get(good..).unwrap_or_default();
        let mut begun = [0; 4];
        for (to, from) in begun.iter_mut().zip(rest) {
            *to = *from;
        }
        self.begun = (begun, rest.len());
        self.before += good as u64;
        Ok(())
    }
}

impl Read for Utf8<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        if len == 0 && !buffer.is_empty() && self.begun.1 > 0 {
            return Err(self.refused(0));
        }
        self.look_at(buffer.get(..len).unwrap_or_default())?;
        Ok(len)
    }
}

#[cfg(feature = "formats")]
fn check_json(content: &mut dyn Read) -> Result<(), String> {
    // What a reader of the value would stumble over, this one only passes by.
    let content = io::BufReader::new(Utf8::new(content));
    serde_json::from_reader::<_, serde::de::IgnoredAny>(content)
        .map(drop)
        .map_err(|error| format!("it is no JSON: {error}"))
}

#[cfg(feature = "formats")]
fn check_toml(content: &mut dyn Read) -> Result<(), String> {
    parse_toml(content).map(drop)
}

#[cfg(feature = "formats")]
fn parse_toml(content: &mut dyn Read) -> Result<toml::Table, String> {
    let mut text = String::new();
    content
        .take(TOML_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("it is no TOML: {error}"))?;
    if text.len() as u64 > TOML_MAX {
        return Err(format!("it is longer than {TOML_MAX} bytes of TOML"));
    }
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        format!("it is no TOML: {} at line {line}", error.message())
    })
}

#[cfg(feature = "formats")]
fn check_xml(content: &mut dyn Read) -> Result<(), String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(io::BufReader::new(content));
    reader.config_mut().check_comments = true;
    let (mut buffer, mut depth, mut roots) = (Vec::new(), 0_u64, 0_u64);
    loop {
        let at = reader.buffer_position();
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| format!("it is no XML: {error}, at byte {at}"))?;
        match event {
            Event::Start(start) => {
                check_attributes(&start, at)?;
                roots += u64::from(depth == 0);
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Empty(start) => {
                check_attributes(&start, at)?;
                roots += u64::from(depth == 0);
            }
            Event::Text(text) if depth == 0 && !is_blank(&text) => {
                return Err(format!(
                    "it is no XML: text outside of an element at byte {at}"
                ));
            }
            Event::Eof if depth > 0 => {
                return Err("it is no XML: it ends inside of an element".to_owned());
            }
            Event::Eof if roots != 1 => {
                return Err(format!("it is no XML: {roots} elements at the top"));
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
        buffer.clear();
    }
}

#[cfg(feature = "formats")]
fn check_attributes(start: &quick_xml::events::BytesStart<'_>, at: u64) -> Result<(), String> {
    for attribute in start.attributes() {
        attribute.map_err(|error| format!("it is no XML: {error}, at byte {at}"))?;
    }
    Ok(())
}

#[cfg(feature = "formats")]
fn is_blank(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .chars()
        .all(|letter| letter.is_ascii_whitespace())
}

#[cfg(feature = "formats")]
fn check_csv(content: &mut dyn Read) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(content);
    let mut record = csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(format!("it is no CSV: {error}")),
        }
    }
}

/// The bytes that a text is written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-8 with a byte order mark, by which spreadsheets of Windows know it.
    Utf8WithMark,
    /// UTF-16, the low byte first, with a byte order mark.
    Utf16Le,
    /// UTF-16, the high byte first, with a byte order mark.
    Utf16Be,
    /// ISO 8859-1: a byte for each letter of western Europe.
    Latin1,
}

impl Encoding {
    /// The bytes of a text.
    pub(crate) fn encode(self, text: &str) -> Result<Vec<u8>, String> {
        const MARK: char = '\u{feff}';
        let units = || std::iter::once(MARK).chain(text.chars());
        let utf16 = |bytes: fn(u16) -> [u8; 2]| {
            let mut two = [0; 2];
            let mut written = Vec::with_capacity(2 * text.len() + 2);
            for letter in units() {
                for unit in letter.encode_utf16(&mut two) {
                    written.extend(bytes(*unit));
                }
            }
            written
        };
        match self {
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
            Self::Utf8WithMark => Ok(units().collect::<String>().into_bytes()),
            Self::Utf16Le => Ok(utf16(u16::to_le_bytes)),
            Self::Utf16Be => Ok(utf16(u16::to_be_bytes)),
            Self::Latin1 => text
                .chars()
                .map(|letter| {
                    u8::try_from(u32::from(letter)).map_err(|_| {
                        format!("ISO 8859-1 has no byte for `{}`", letter.escape_default())
                    })
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
