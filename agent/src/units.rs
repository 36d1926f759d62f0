//! Durations and sizes as people write them: `2s`, `5min`, `1h 30min`, `10 GiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration from the configuration or the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes from the configuration or the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

/// So many in a time, from the configuration: `100/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) number: u32,
    pub(crate) per: Duration,
}

/// Text that is no duration, size or rate, and what would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAUnit(String);

/// The longest duration that means anything here; beyond it a deadline could overflow.
const LONGEST: Duration = Duration::from_hours(24 * 3650);

const TIME_UNITS: [(&str, f64); 9] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("sec", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3_600.0),
    ("hour", 3_600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
];

const SIZE_UNITS: [(&str, f64); 9] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1_024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

impl fmt::Display for NotAUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAUnit {}

impl FromStr for Span {
    type Err = NotAUnit;

    fn from_str(text: &str) -> Result<Self, NotAUnit> {
        let refused = || {
            NotAUnit(format!(
                "`{text}` is not a duration; write it like `200ms`, `2s`, `5min`, `1h 30min` or `7d`"
            ))
        };
        let seconds = sum(text, &TIME_UNITS).ok_or_else(refused)?;
        let span = Duration::try_from_secs_f64(seconds).map_err(|_| refused())?;
        if span > LONGEST {
            return Err(NotAUnit(format!("`{text}` is longer than ten years")));
        }
        Ok(Self(span))
    }
}

impl FromStr for Rate {
    type Err = NotAUnit;

    fn from_str(text: &str) -> Result<Self, NotAUnit> {
        let refused = || {
            NotAUnit(format!(
                "`{text}` is not a rate; write it like `10/s`, `100/min` or `1/5min`"
            ))
        };
        let (number, time) = text.split_once('/').ok_or_else(refused)?;
        let number: u32 = number.trim().parse().map_err(|_| refused())?;
        let time = time.trim();
        // `100/min` is as good as `100/1min`.
        let time = if time.starts_with(|first: char| first.is_ascii_digit()) {
            time.to_owned()
        } else {
            format!("1{time}")
        };
        let Span(per) = time.parse().map_err(|_| refused())?;
        if number == 0 || per.is_zero() {
            return Err(refused());
        }
        if per.as_nanos() < u128::from(number) {
            return Err(NotAUnit(format!(
                "`{text}` is more than one each nanosecond, which nothing can keep to; leave the rate out for none"
            )));
        }
        Ok(Self { number, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, Span(self.per))
    }
}

impl<'de> serde::Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(RateVisitor)
    }
}

impl FromStr for Size {
    type Err = NotAUnit;

    fn from_str(text: &str) -> Result<Self, NotAUnit> {
        if let Ok(bytes) = text.trim().parse() {
            return Ok(Self(bytes));
        }
        let bytes = sum(text, &SIZE_UNITS).filter(|bytes| *bytes < 2f64.powi(63));
        bytes.map(|bytes| Self(bytes as u64)).ok_or_else(|| {
            NotAUnit(format!(
                "`{text}` is not a size; write it like `512 MiB`, `10 GiB` or a plain number of bytes"
            ))
        })
    }
}

/// Adds up parts such as `1h 30min`; every part has a number and a unit, in that order.
fn sum(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0.0);
    }
    let mut total = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = &rest[..letters];
        let known = units.iter().find(|(name, _)| is_unit(unit, name));
        total = Some(total.unwrap_or(0.0) + number * known?.1);
        rest = rest[letters..].trim_start();
    }
    total
}

/// Units may stand in the plural when they are words; sizes do not care about case.
fn is_unit(written: &str, name: &str) -> bool {
    let plural = name.len() > 2 && written.strip_suffix('s') == Some(name);
    plural || written == name || (name.ends_with('B') && written.eq_ignore_ascii_case(name))
}

impl fmt::Display for Span {
    /// The shortest form that reads back as the same duration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        match ms {
            0 => write!(f, "0s"),
            _ if !ms.is_multiple_of(1_000) => write!(f, "{ms}ms"),
            _ if !ms.is_multiple_of(60_000) => write!(f, "{}s", ms / 1_000),
            _ if !ms.is_multiple_of(3_600_000) => write!(f, "{}min", ms / 60_000),
            _ if !ms.is_multiple_of(86_400_000) => write!(f, "{}h", ms / 3_600_000),
            _ => write!(f, "{}d", ms / 86_400_000),
        }
    }
}

/// A time that passed, as people say it: whole hours from one on, whole days from two on.
pub(crate) fn rounded(passed: Duration) -> Span {
    const DAY: u64 = 86_400;
    let seconds = passed.as_secs();
    let unit = match seconds {
        0..60 => 1,
        60..3_600 => 60,
        3_600..172_800 => 3_600,
        _ => DAY,
    };
    Span(Duration::from_secs(seconds - seconds % unit))
}

impl fmt::Display for Size {
    /// The largest binary unit that divides it, or one decimal place of the one that fits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1u64 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        for (size, unit) in units {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{} {unit}", self.0 / size);
            }
            if self.0 >= size {
                return write!(f, "{:.1} {unit}", self.0 as f64 / size as f64);
            }
        }
        write!(f, "{} B", self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SpanVisitor;

impl serde::de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration in quotes, such as \"2s\" or \"5min\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }
}

struct RateVisitor;

impl serde::de::Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate in quotes, such as \"10/s\" or \"100/min\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Rate, E> {
        text.parse().map_err(E::custom)
    }
}

struct SizeVisitor;

impl serde::de::Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, such as \"10 GiB\" or a number of bytes")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<Size, E> {
        let refused = || E::custom("a size cannot be negative; 0 means no limit");
        u64::try_from(bytes).map(Size).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        let cases = [
            ("200ms", 200),
            ("2s", 2_000),
            ("2 s", 2_000),
            ("1.5s", 1_500),
            ("5min", 300_000),
            ("5 mins", 300_000),
            ("1h 30min", 5_400_000),
            ("7d", 604_800_000),
            ("0", 0),
        ];
        for (text, ms) in cases {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))), "{text}");
        }
    }

    #[test]
    fn rates_read_as_people_write_them_and_what_is_none_is_refused() {
        let rate = |number, seconds| Rate {
            number,
            per: Duration::from_secs(seconds),
        };
        for (text, read, shown) in [
            ("10/s", rate(10, 1), "10/1s"),
            ("100 / min", rate(100, 60), "100/1min"),
            ("1/5min", rate(1, 300), "1/5min"),
        ] {
            assert_eq!(text.parse(), Ok(read), "{text}");
            assert_eq!(read.to_string(), shown);
            assert_eq!(shown.parse(), Ok(read));
        }
        for text in [
            "",
            "10",
            "0/s",
            "10/0s",
            "-1/s",
            "1.5/s",
            "10/parsec",
            "/s",
            "10/",
        ] {
            let refused = text.parse::<Rate>().unwrap_err();
            assert!(
                refused.to_string().contains("`100/min`"),
                "{text}: {refused}"
            );
        }
        let refused = "4000000000/s".parse::<Rate>().unwrap_err().to_string();
        assert!(refused.contains("one each nanosecond"), "{refused}");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_way_to_write_it() {
        for text in [
            "",
            "5",
            "s",
            "2 parsecs",
            "-2s",
            "2s3",
            "1e9d",
            "4000000d",
            "1..5s",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        let refused = "2 parsecs".parse::<Span>().unwrap_err().to_string();
        assert!(
            refused.contains("`2 parsecs` is not a duration"),
            "{refused}"
        );
        assert!(refused.contains("`5min`"), "{refused}");
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        let cases = [
            ("0", 0),
            ("4096", 4_096),
            ("10 GiB", 10 << 30),
            ("10gib", 10 << 30),
            ("1.5 MiB", 3 << 19),
            ("2 GB", 2_000_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        assert!("ten".parse::<Size>().is_err());
        assert!("5 GiBs".parse::<Size>().is_ok());
        assert!("1e30 TiB".parse::<Size>().is_err());
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for text in ["200ms", "2s", "5min", "90s", "36h", "7d", "0s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse(), Ok(span), "{text}");
        }
        assert_eq!(Size(10 << 30).to_string(), "10 GiB");
        assert_eq!(Size(1_536).to_string(), "1.5 KiB");
        assert_eq!(Size(17).to_string(), "17 B");
    }
}
