//! Where the folders may lie, so that who drops files reaches nothing of ours.

use crate::config::{After, Config};
use crate::error::Error;
use mainstay_files as files;
use std::path::{Path, PathBuf};

/// Mode of the folders that we make: what was dropped may be confidential.
const PRIVATE: u32 = 0o700;

/// Makes our own folders where they are missing, and checks who else may write to the work folder.
pub(crate) fn prepare(config: &Config) -> Result<(), Error> {
    let mut ours = vec![&config.work, &config.quarantine];
    match &config.after {
        After::Archive => ours.push(&config.archive),
        After::Move(folder) => ours.push(folder),
        After::Delete | After::Keep => {}
    }
    for folder in ours {
        files::create_dir_all(folder, PRIVATE)
            .map_err(|error| Error::folder("create folder", folder, error))?;
    }
    let facts = files::facts(&resolved(&config.work))
        .map_err(|error| Error::folder("look at", &config.work, error))?;
    let us = rustix::process::geteuid().as_raw();
    if facts.uid != us && facts.uid != 0 {
        return Err(Error::layout(
            &config.work,
            "another user owns the work folder and could exchange what was taken; change its owner",
        ));
    }
    if facts.is_writable_by_others() {
        return Err(Error::layout(
            &config.work,
            "others may write to the work folder and could exchange what was taken; set its mode to 0700",
        ));
    }
    check(config)
}

/// Checks that no folder lies where it would be taken for something dropped, or be in reach of who drops.
///
/// Checked again whenever the drop folder appears, because only then it is known where its path leads.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    let drop = resolved(&config.drop);
    let work = resolved(&config.work);
    if work.starts_with(&drop) {
        return Err(Error::layout(
            &config.work,
            "the work folder lies in the drop folder; move it out",
        ));
    }
    if drop.starts_with(&work) {
        return Err(Error::layout(
            &config.drop,
            "the drop folder lies in the work folder; move it out",
        ));
    }
    let mut others = vec![("quarantine folder", &config.quarantine)];
    match &config.after {
        After::Archive => others.push(("archive folder", &config.archive)),
        After::Move(folder) => others.push(("folder to move files to", folder)),
        After::Delete | After::Keep => {}
    }
    for (what, folder) in others {
        let path = resolved(folder);
        if path == drop || (config.recursive && path.starts_with(&drop)) {
            let message = format!(
                "the {what} lies in the drop folder, and would be taken again; move it out"
            );
            return Err(Error::layout(folder, &message));
        }
        if path.starts_with(&work) {
            let message = format!("the {what} lies in the work folder; move it out");
            return Err(Error::layout(folder, &message));
        }
    }
    Ok(())
}

/// Where a path leads: links are followed as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    for folder in path.ancestors() {
        if let Ok(mut found) = folder.canonicalize() {
            found.extend(rest.iter().rev());
            return found;
        }
        if let Some(name) = folder.file_name() {
            rest.push(name);
        }
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare folders")]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::os::unix::fs::PermissionsExt;

    fn refusal(change: impl FnOnce(&Path, &mut Config)) -> String {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir(at("drop")).unwrap();
        let mut config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
        change(root.path(), &mut config);
        let error = prepare(&config).expect_err("this layout is not safe");
        assert_eq!(error.kind(), ErrorKind::UnsafeLayout);
        error
            .to_string()
            .replace(root.path().to_str().unwrap(), "ROOT")
    }

    #[test]
    fn a_work_folder_in_reach_of_who_drops_is_refused() {
        assert_eq!(
            refusal(|root, config| config.work = root.join("drop/work")),
            "cannot use `ROOT/drop/work`: the work folder lies in the drop folder; move it out"
        );
        assert_eq!(
            refusal(|root, config| {
                std::os::unix::fs::symlink(root.join("drop"), root.join("link")).unwrap();
                config.work = root.join("link/work");
            }),
            "cannot use `ROOT/link/work`: the work folder lies in the drop folder; move it out"
        );
        assert_eq!(
            refusal(|root, config| {
                config.work = root.join("inner");
                config.drop = root.join("inner/drop");
            }),
            "cannot use `ROOT/inner/drop`: the drop folder lies in the work folder; move it out"
        );
        assert_eq!(
            refusal(|_, config| {
                std::fs::create_dir(&config.work).unwrap();
                std::fs::set_permissions(&config.work, PermissionsExt::from_mode(0o770)).unwrap();
            }),
            "cannot use `ROOT/work`: others may write to the work folder and could exchange what was taken; \
             set its mode to 0700"
        );
    }

    #[test]
    fn an_archive_that_would_be_taken_again_is_refused() {
        assert_eq!(
            refusal(|root, config| config.archive = root.join("drop")),
            "cannot use `ROOT/drop`: the archive folder lies in the drop folder, and would be taken again; move it out"
        );
        assert!(
            refusal(|root, config| {
                config.recursive = true;
                config.after = After::Move(root.join("drop/done"));
            })
            .contains("the folder to move files to lies in the drop folder")
        );
        assert!(
            refusal(|root, config| config.quarantine = root.join("work/quarantine"))
                .contains("the quarantine folder lies in the work folder")
        );
    }

    #[test]
    fn folders_beside_each_other_are_made_private() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        // The drop folder may be missing.
        prepare(&Config::new(
            at("drop"),
            at("a/work"),
            at("archive"),
            at("quarantine"),
        ))
        .unwrap();
        for folder in ["a/work", "archive", "quarantine"] {
            assert_eq!(
                at(folder).metadata().unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
        assert!(!at("drop").exists());
    }
}
