//! How long a request may take, by what it is for.

use std::time::Duration;

/// What a request is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Anything.
    #[default]
    General,
    /// A question that the server has to think about.
    Search,
    /// Something that somebody waits for right now.
    Quick,
    /// Many bytes.
    Download,
}

/// How long one class of requests may take.
///
/// `connect` is one for all: [`ClientSettings::connect`](crate::ClientSettings::connect).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest silence of the server: until its answer begins, connecting included, and between two pieces of it.
    pub read: Duration,
    /// All together: waiting for a turn, attempts, pauses, redirects and the body.
    pub total: Duration,
}

/// The limits of each class.
///
/// # Defaults
///
/// | class | read | total | why |
/// |---|---:|---:|---|
/// | `general` | 30 s | 60 s | a page, with a retry or two |
/// | `search` | 45 s | 90 s | a server that searches is silent for long |
/// | `quick` | 10 s | 20 s | a person looks at it |
/// | `download` | 60 s | 300 s | many bytes |
///
/// The numbers are those of the application before this one. A shorter limit of the caller's own wins; a longer one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// Of [`Class::General`].
    pub general: Limits,
    /// Of [`Class::Search`].
    pub search: Limits,
    /// Of [`Class::Quick`].
    pub quick: Limits,
    /// Of [`Class::Download`].
    pub download: Limits,
}

impl Limits {
    const fn seconds(read: u64, total: u64) -> Self {
        Self {
            read: Duration::from_secs(read),
            total: Duration::from_secs(total),
        }
    }
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            general: Limits::seconds(30, 60),
            search: Limits::seconds(45, 90),
            quick: Limits::seconds(10, 20),
            download: Limits::seconds(60, 300),
        }
    }
}

impl TimeLimits {
    /// Those of a class.
    pub fn of(&self, class: Class) -> Limits {
        match class {
            Class::General => self.general,
            Class::Search => self.search,
            Class::Quick => self.quick,
            Class::Download => self.download,
        }
    }

    /// Those of a class, or the caller's own where they are shorter.
    pub(crate) fn shortest(&self, class: Class, own: Option<Duration>) -> Limits {
        let limits = self.of(class);
        Limits {
            total: own.map_or(limits.total, |own| own.min(limits.total)),
            ..limits
        }
    }

    pub(crate) fn all(&self) -> [Limits; 4] {
        [self.general, self.search, self.quick, self.download]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_limits_and_a_shorter_one_of_the_caller_wins() {
        let limits = TimeLimits::default();
        let seconds = |class| {
            let Limits { read, total } = limits.of(class);
            (read.as_secs(), total.as_secs())
        };
        assert_eq!(seconds(Class::default()), (30, 60));
        assert_eq!(seconds(Class::Search), (45, 90));
        assert_eq!(seconds(Class::Quick), (10, 20));
        assert_eq!(seconds(Class::Download), (60, 300));
        let total = |own| limits.shortest(Class::Quick, own).total.as_secs();
        assert_eq!(total(Some(Duration::from_secs(3))), 3);
        assert_eq!(total(Some(Duration::from_secs(30))), 20);
        assert_eq!(total(None), 20);
    }
}
