//! What strace wrote down.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The calls on some folders, as strace saw them.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The first line of each kind of call, by its name.
    kinds: BTreeMap<String, String>,
    calls: u64,
    shared: Option<String>,
}

impl Log {
    /// Reads what touches something below one of these folders.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(path: &Path, below: &[&Path]) -> Result<Self> {
        Ok(Self::of(&text(path)?, below))
    }

    fn of(text: &str, below: &[&Path]) -> Self {
        let below: Vec<String> = below
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let mut log = Self::default();
        for line in text.lines() {
            let Some((name, arguments)) = call(line) else {
                continue;
            };
            if !below.iter().any(|folder| arguments.contains(folder)) {
                continue;
            }
            log.calls += 1;
            if name == "mmap"
                && arguments.contains("PROT_WRITE")
                && arguments.contains("MAP_SHARED")
            {
                log.shared.get_or_insert_with(|| line.to_owned());
            }
            let first = || line.to_owned();
            log.kinds.entry(name.to_owned()).or_insert_with(first);
        }
        log
    }

    /// How many there were.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    /// The name of each kind of call, and the first line of it.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kinds.iter().map(|(name, line)| (&**name, &**line))
    }

    /// The first that writes to a file by way of memory.
    pub(super) fn shared_memory(&self) -> Option<&str> {
        self.shared.as_deref()
    }

    /// Whether a call was made to fail.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn has_failed(path: &Path) -> Result<bool> {
        Ok(text(path)?.contains("(INJECTED)"))
    }
}

fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("strace left no {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The name and the arguments of a call that begins on this line: `PID NAME(ARGUMENTS...`.
fn call(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.trim_start().split_once(char::is_whitespace)?;
    let (name, arguments) = rest.trim_start().split_once('(')?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"41 openat(AT_FDCWD</>, "/etc/passwd", O_RDONLY) = 3</etc/passwd>
41 openat(5</x/work>, "segment", O_RDWR|O_CREAT, 0600) = 6</x/work/segment>
42 pwrite64(6</x/work/segment>, ""..., 4096, 0 <unfinished ...>
41 fsync(6</x/work/segment>) = -1 EIO (Input/output error) (INJECTED)
42 <... pwrite64 resumed>) = 4096
41 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 6</x/work/segment>, 0) = 0x7f0000000000
41 +++ exited with 0 +++
"#;

    #[test]
    fn each_call_on_the_folders_counts_once_by_its_name() {
        let log = Log::of(TEXT, &[Path::new("/x/work")]);
        let names: Vec<_> = log.kinds().map(|(name, _)| name).collect();
        assert_eq!(names, ["fsync", "mmap", "openat", "pwrite64"]);
        assert_eq!(log.calls(), 4);
        assert_eq!(log.shared_memory(), None, "it is only read");
    }

    #[test]
    fn a_file_that_is_written_by_way_of_memory_is_told() {
        let text = TEXT.replace("PROT_READ", "PROT_READ|PROT_WRITE");
        let log = Log::of(&text, &[Path::new("/x/work")]);
        assert!(log.shared_memory().unwrap().contains("mmap("));
    }
}
