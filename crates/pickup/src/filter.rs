//! Which names are taken.

use crate::config::Config;
use crate::error::Error;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// How the names of files end that a program has not finished.
const UNFINISHED: [&[u8]; 5] = [b".tmp", b".part", b".partial", b".crdownload", b"~"];

/// Decides by names alone.
#[derive(Debug)]
pub(crate) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    marker: Option<OsString>,
}

/// What a name is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Not ours: left where it is, and not spoken of.
    Ignored,
    /// A file to take.
    File,
    /// The marker of this file, which may be taken.
    MarkerOf(PathBuf),
}

impl Filter {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let build = |setting, patterns: &[String]| {
            globs(patterns)
                .map_err(|error| Error::config(&config.drop, setting, &error.to_string()))
        };
        let include = if config.include.is_empty() {
            None
        } else {
            Some(build("include", &config.include)?)
        };
        let exclude = build("exclude", &config.exclude)?;
        Ok(Self {
            include,
            exclude,
            marker: config.marker.clone().map(OsString::from),
        })
    }

    /// What the entry at this path below the drop folder is, if it is not a folder.
    pub(crate) fn judge(&self, relative: &Path) -> Judged {
        let Some(marker) = &self.marker else {
            return if self.is_wanted(relative) {
                Judged::File
            } else {
                Judged::Ignored
            };
        };
        let Some(of) = without_suffix(relative, marker) else {
            return Judged::Ignored;
        };
        if self.is_wanted(&of) {
            Judged::MarkerOf(of)
        } else {
            Judged::Ignored
        }
    }

    /// The path of the marker of a file, where markers are used.
    pub(crate) fn marker_of(&self, relative: &Path) -> Option<PathBuf> {
        let mut path = relative.as_os_str().to_owned();
        path.push(self.marker.as_ref()?);
        Some(path.into())
    }

    /// The file that this may be waiting for its marker.
    pub(crate) fn awaits_marker(&self, relative: &Path) -> bool {
        self.marker
            .as_ref()
            .is_some_and(|marker| without_suffix(relative, marker).is_none())
            && self.is_wanted(relative)
    }

    fn is_wanted(&self, relative: &Path) -> bool {
        let Some(name) = relative.file_name() else {
            return false;
        };
        !is_hidden(name)
            && !is_unfinished(name)
            && self
                .include
                .as_ref()
                .is_none_or(|include| include.is_match(relative))
            && !self.exclude.is_match(relative)
    }
}

/// Whether a name says that it is not meant to be seen; folders of that kind are not entered.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().first() == Some(&b'.')
}

fn is_unfinished(name: &OsStr) -> bool {
    let name = name.as_bytes();
    UNFINISHED.iter().any(|end| {
        name.len()
            .checked_sub(end.len())
            .is_some_and(|start| name[start..].eq_ignore_ascii_case(end))
    })
}

fn without_suffix(path: &Path, suffix: &OsStr) -> Option<PathBuf> {
    let rest = path
        .as_os_str()
        .as_bytes()
        .strip_suffix(suffix.as_bytes())?;
    let path = PathBuf::from(OsString::from_vec(rest.to_vec()));
    // `sub/.done` is the marker of nothing.
    (!rest.ends_with(b"/") && path.file_name().is_some()).then_some(path)
}

fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).case_insensitive(true).build()?);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(change: impl FnOnce(&mut Config)) -> Filter {
        let mut config = Config::new("/drop", "/work", "/archive", "/quarantine");
        change(&mut config);
        Filter::new(&config).expect("the patterns are valid")
    }

    fn is_file(filter: &Filter, path: &[u8]) -> bool {
        filter.judge(Path::new(OsStr::from_bytes(path))) == Judged::File
    }

    #[test]
    fn everything_is_taken_but_what_is_hidden_or_unfinished() {
        let filter = filter(|_| {});
        for taken in [
            &b"report.csv"[..],
            b"no extension",
            b"m\xfcll",
            b"tmp",
            b"a.tmp.csv",
            b"x.done",
        ] {
            assert!(is_file(&filter, taken), "{taken:?}");
        }
        for left in [
            &b".hidden"[..],
            b"a.tmp",
            b"a.TMP",
            b"a.part",
            b"a.Partial",
            b"a.crdownload",
            b"a.csv~",
        ] {
            assert!(!is_file(&filter, left), "{left:?}");
        }
    }

    #[test]
    fn patterns_match_the_path_below_the_folder_whatever_the_case() {
        let filter = filter(|config| {
            config.include = vec!["*.csv".into(), "logs/**".into()];
            config.exclude = vec!["*draft*".into()];
        });
        for taken in [
            &b"a.csv"[..],
            b"A.CSV",
            b"sub/a.csv",
            b"logs/x/y.bin",
            b"m\xfcll.csv",
        ] {
            assert!(is_file(&filter, taken), "{taken:?}");
        }
        for left in [&b"a.xml"[..], b"Draft.csv", b"logs"] {
            assert!(!is_file(&filter, left), "{left:?}");
        }
    }

    #[test]
    fn with_markers_only_a_marked_file_counts() {
        let filter = filter(|config| config.marker = Some(".done".into()));
        let judge = |path| filter.judge(Path::new(path));
        assert_eq!(
            judge("sub/a.csv.done"),
            Judged::MarkerOf("sub/a.csv".into())
        );
        assert_eq!(judge("a.csv"), Judged::Ignored);
        assert_eq!(judge("sub/.done"), Judged::Ignored);
        assert_eq!(judge(".a.done"), Judged::Ignored);
        assert_eq!(
            filter.marker_of(Path::new("a.csv")),
            Some("a.csv.done".into())
        );
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_refused_with_its_setting() {
        let mut config = Config::new("/drop", "/work", "/archive", "/quarantine");
        config.include = vec!["a[".into()];
        let error = Filter::new(&config).expect_err("an open bracket is no pattern");
        assert!(
            error
                .to_string()
                .starts_with("cannot watch `/drop`: setting `include`: "),
            "{error}"
        );
    }
}
