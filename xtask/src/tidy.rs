//! `cargo xtask tidy`: our own rules, held against the code and the prose.
//!
//! Each rule is one function from the [`Tree`] to its findings, with a test that shows it failing.

mod coverage;
mod crate_docs;
mod crate_edges;
mod dependencies;
mod exit_codes;
mod faults_survived;
mod file_names;
mod function_length;
mod guarantees;
mod links;
mod modules;
mod owners;
mod page;
mod prose;
mod source;
mod stubs;
mod test_names;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use tree::Tree;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// `path` or `path:line`, from the root.
    place: String,
    /// What is wrong there and what to do about it.
    what: String,
}

/// A named rule.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "crates depend downward only",
        check: crate_edges::check,
    },
    Rule {
        name: "every member inherits the one lint list",
        check: crate_edges::check_lints,
    },
    Rule {
        name: "every dependency is used and has its reason written down",
        check: dependencies::check,
    },
    Rule {
        name: "every promise has a test that goes red",
        check: guarantees::check,
    },
    Rule {
        name: "what came before is covered, or its absence explained",
        check: coverage::check,
    },
    Rule {
        name: "exit codes are documented",
        check: exit_codes::check,
    },
    Rule {
        name: "the faults survived are those of the record",
        check: faults_survived::check,
    },
    Rule {
        name: "dangerous things have one owner",
        check: owners::check,
    },
    Rule {
        name: "nothing is left for later",
        check: stubs::check,
    },
    Rule {
        name: "a file holds one idea",
        check: function_length::check_files,
    },
    Rule {
        name: "a function fits on a screen",
        check: function_length::check_functions,
    },
    Rule {
        name: "a file's name says what is in it",
        check: file_names::check,
    },
    Rule {
        name: "every file is built",
        check: modules::check,
    },
    Rule {
        name: "a crate says what it promises and what not",
        check: crate_docs::check,
    },
    Rule {
        name: "the changelog and the map are complete",
        check: prose::check,
    },
    Rule {
        name: "links lead somewhere",
        check: links::check,
    },
    Rule {
        name: "no path of somebody's machine",
        check: prose::check_machine_paths,
    },
];

/// Checks every rule and prints what it found.
pub(crate) fn verb(workspace: &Workspace) -> Result<ExitCode> {
    check(workspace)?;
    Ok(ExitCode::SUCCESS)
}

/// Checks every rule and prints what it found.
///
/// # Errors
///
/// When any rule is broken.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tree = Tree::read(workspace)?;
    let mut broken = 0;
    for rule in RULES {
        let mut findings = (rule.check)(&tree);
        findings.sort();
        if findings.is_empty() {
            println!("ok    {}", rule.name);
        } else {
            println!("FAIL  {}", rule.name);
        }
        for finding in &findings {
            println!("      {}: {}", finding.place, finding.what);
        }
        broken += findings.len();
    }
    if broken > 0 {
        bail!("{broken} places break our own rules: each line above says where and what to do");
    }
    Ok(())
}

/// Shorthand for the rules.
fn finding(place: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding {
        place: place.into(),
        what: what.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_quiet_about_an_empty_tree_or_says_what_is_missing() {
        let tree = Tree::default();
        for rule in RULES {
            for finding in (rule.check)(&tree) {
                assert!(
                    finding.what.contains("missing") || finding.what.contains("no row"),
                    "{}: {finding:?}",
                    rule.name
                );
            }
        }
    }
}
