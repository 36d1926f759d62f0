//! The processes that the agent has started, as the system knows them.

use std::fs;
use std::io;

/// The children that are there, by name and number: those that run, and those that ended and were not waited for. None where the
/// system does not say (a kernel without `CONFIG_PROC_CHILDREN`).
///
/// # Errors
/// The system does not show this process.
pub(super) fn left() -> io::Result<Vec<String>> {
    let mut left = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let listed = fs::read_to_string(thread?.path().join("children"));
        // A thread that ended meanwhile has given its children to another.
        for pid in listed.unwrap_or_default().split_whitespace() {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            // One that ended meanwhile is not there.
            if let Ok(name) = name {
                let name = crate::terminal::visible(name.trim_end());
                left.push(format!("`{name}` (process {pid})"));
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_there_until_it_was_waited_for() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        // Other tests have children too.
        let is_there = || {
            let number = format!("(process {})", child.id());
            left().unwrap().iter().any(|name| name.ends_with(&number))
        };
        assert!(is_there());
        drop(child.stdin.take());
        child.wait().unwrap();
        let number = format!("(process {})", child.id());
        assert!(!left().unwrap().iter().any(|name| name.ends_with(&number)));
    }
}
