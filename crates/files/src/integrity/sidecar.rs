//! The file that remembers a checksum, in the form that `sha256sum -c` reads:
//!
//! ```text
//! ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  report.csv
//! ```
//!
//! Two spaces, or a space and `*`, stand between. In a name a backslash, a line feed and a carriage return are written `\\`,
//! `\n`, `\r`, and the line begins with a backslash then.

use super::{Algorithm, Checksum, Integrity, checksum};
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::open_regular;
use crate::replace::replace;
use crate::target::split;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that is read of a sidecar, in bytes: some thousand lines.
const LEN_MAX: u64 = 1024 * 1024;

/// Where the checksum of the file at `path` is remembered: beside it, with the algorithm's name behind its own.
pub fn sidecar_path(path: &Path, algorithm: Algorithm) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(algorithm.name());
    name.into()
}

/// Computes the checksum of the file at `path`, and remembers it beside the file; durable when it returns `Ok`.
///
/// # Errors
///
/// As [`checksum`] and [`replace`](crate::replace()); an older sidecar is as it was then.
pub fn write_sidecar(path: &Path, algorithm: Algorithm) -> Result<Checksum, Error> {
    let (_, name) = split(&Attempt::new("compute the checksum of", path, ""), path)?;
    let sum = checksum(path, algorithm)?;
    replace(&sidecar_path(path, algorithm), &checksum_line(&sum, name))?;
    Ok(sum)
}

/// Compares the file at `path` with what its sidecar remembers.
///
/// A sidecar that is missing, cannot be understood, or does not name the file leaves it [`Integrity::Unknown`]: nothing that
/// was not compared ever counts as verified.
///
/// # Errors
///
/// As [`checksum`], and where the sidecar is there and cannot be read.
pub fn verify_sidecar(path: &Path, algorithm: Algorithm) -> Result<Integrity, Error> {
    let attempt = Attempt::new("verify", path, "");
    let (_, name) = split(&attempt, path)?;
    let sidecar = sidecar_path(path, algorithm);
    let text = match read(&sidecar) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = format!("there is no `{}` beside it", shown_name(&sidecar));
            return checksum(path, algorithm).map(|_| Integrity::Unknown(why));
        }
        Err(error) => return Err(error),
    };
    let expected = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| entry(line, algorithm))
        .find(|(_, named)| named == name.as_encoded_bytes());
    let found = checksum(path, algorithm)?;
    Ok(match expected {
        Some((expected, _)) if expected == found => Integrity::Verified(found),
        Some((expected, _)) => Integrity::Mismatch { expected, found },
        None => Integrity::Unknown(format!(
            "`{}` has no {algorithm} checksum of it",
            shown_name(&sidecar)
        )),
    })
}

fn shown_name(path: &Path) -> String {
    crate::Shown(Path::new(path.file_name().unwrap_or_default())).to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let (file, _) = open_regular(path)?;
    let mut text = Vec::new();
    file.take(LEN_MAX)
        .read_to_end(&mut text)
        .map_err(|error| Attempt::new("read", path, "").failed(error))?;
    Ok(text)
}

/// The line, with its line feed, that programs such as `sha256sum` print for a file and read with `--check`.
pub fn checksum_line(sum: &Checksum, name: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in name.as_encoded_bytes() {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            byte => escaped.push(*byte),
        }
    }
    let mark = if escaped == name.as_encoded_bytes() {
        ""
    } else {
        "\\"
    };
    let mut line = format!("{mark}{sum}  ").into_bytes();
    line.extend(escaped);
    line.push(b'\n');
    line
}

/// One line's checksum and name; `None` where it is no line of this algorithm.
fn entry(line: &[u8], algorithm: Algorithm) -> Option<(Checksum, Vec<u8>)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (line, is_escaped) = match line.strip_prefix(b"\\") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let (sum, rest) = line.split_at_checked(2 * algorithm.length())?;
    let sum = Checksum::from_hex(algorithm, std::str::from_utf8(sum).ok()?).ok()?;
    let name = rest
        .strip_prefix(b"  ")
        .or_else(|| rest.strip_prefix(b" *"))?;
    let name = if is_escaped {
        unescaped(name)?
    } else {
        name.to_vec()
    };
    Some((sum, name))
}

fn unescaped(name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(plain)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests play the writer and the damage"
)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_file_that_changed_is_a_mismatch_and_one_that_did_not_is_verified() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        std::fs::write(&path, "abc").unwrap();
        let sum = write_sidecar(&path, Algorithm::Sha256).unwrap();
        assert_eq!(
            verify_sidecar(&path, Algorithm::Sha256).unwrap(),
            Integrity::Verified(sum)
        );
        std::fs::write(&path, "abd").unwrap();
        let found = Checksum::of(Algorithm::Sha256, b"abd");
        assert_eq!(
            verify_sidecar(&path, Algorithm::Sha256).unwrap(),
            Integrity::Mismatch {
                expected: sum,
                found
            }
        );
    }

    #[test]
    fn what_was_not_compared_is_unknown_and_never_verified() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        std::fs::write(&path, "abc").unwrap();
        let verify = || verify_sidecar(&path, Algorithm::Sha256).unwrap();
        assert_eq!(
            verify(),
            Integrity::Unknown("there is no `report.csv.sha256` beside it".into())
        );
        let sum = Checksum::of(Algorithm::Sha256, b"abc");
        for wrong in [
            String::new(),
            "garbage\n".to_owned(),
            format!("{sum}  other.csv\n"),
            format!("{sum}\treport.csv\n"),
            format!("{}  report.csv\n", &sum.to_string()[2..]),
        ] {
            std::fs::write(sidecar_path(&path, Algorithm::Sha256), wrong).unwrap();
            assert!(matches!(verify(), Integrity::Unknown(_)));
        }
        // A file that is missing is an error, with or without a sidecar.
        std::fs::remove_file(&path).unwrap();
        let error = verify_sidecar(&path, Algorithm::Sha256).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_sidecars_of_other_programs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        std::fs::write(&path, "abc").unwrap();
        let sum = Checksum::of(Algorithm::Sha256, b"abc");
        let others = [
            format!("{}  report.csv\n", sum.to_string().to_uppercase()),
            format!("{sum} *report.csv\r\n"),
            format!("{sum}  another.csv\n{sum}  report.csv"),
        ];
        for text in others {
            std::fs::write(sidecar_path(&path, Algorithm::Sha256), &text).unwrap();
            let verified = verify_sidecar(&path, Algorithm::Sha256).unwrap();
            assert_eq!(verified, Integrity::Verified(sum), "{text:?}");
        }
    }

    /// The system's own program is asked, with names that have to be written in another way.
    #[cfg(unix)]
    #[test]
    fn the_systems_own_programs_verify_what_we_remember() {
        let folder = tempfile::tempdir().unwrap();
        let programs = [
            (Algorithm::Sha256, "sha256sum"),
            (Algorithm::Sha1, "sha1sum"),
            (Algorithm::Md5, "md5sum"),
        ];
        for name in [
            "plain.csv",
            "two words.csv",
            "back\\slash",
            "line\nfeed",
            "Prüfung.csv",
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            for (algorithm, program) in programs {
                write_sidecar(&path, algorithm).unwrap();
                let sidecar = sidecar_path(&path, algorithm);
                let status = Command::new(program)
                    .args(["--check", "--strict", "--status"])
                    .arg(&sidecar)
                    .current_dir(folder.path())
                    .status()
                    .unwrap();
                assert!(status.success(), "{program} refuses {name:?}");
                assert!(matches!(
                    verify_sidecar(&path, algorithm).unwrap(),
                    Integrity::Verified(_)
                ));
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_text_is_remembered_byte_for_byte() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OsStr::from_bytes(b"m\xfcll\r"));
        std::fs::write(&path, "x").unwrap();
        let sum = write_sidecar(&path, Algorithm::Blake3).unwrap();
        assert_eq!(
            verify_sidecar(&path, Algorithm::Blake3).unwrap(),
            Integrity::Verified(sum)
        );
    }
}
