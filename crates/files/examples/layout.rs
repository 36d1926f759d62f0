//! Where a program lives, and how it moves in from where its last version lived.
//!
//! `cargo run -p mainstay-files --example layout -- FOLDER` plays it in a folder that you can throw away.

use mainstay_files::{ErrorKind, Layout, Lock, Migration, Needs, first_fit};
use mainstay_paths::{AppDirs, AppId, Environment, Platform};
use std::error::Error;
use std::path::Path;

#[expect(clippy::print_stdout, reason = "an example is for whoever looks on")]
fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::args_os().nth(1).ok_or("say which folder")?;
    for line in start(&std::path::absolute(home)?)? {
        println!("{line}");
    }
    Ok(())
}

/// A start of the program in this home; answers what it has to say.
pub(crate) fn start(home: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut said = Vec::new();
    // A program asks `Environment::from_process()`; the play has a home of its own.
    let environment = Environment::injected(Platform::Linux).with("HOME", home);
    let dirs = AppDirs::resolve(&AppId::MAINSTAY, &environment);

    // 1. Move in first: the version before kept everything in one folder of the home. Killed at any point, the next start
    //    finishes it, and what is there already is never overwritten. The old folder stays until a person removes it.
    let migration = Migration::new(&home.join(".mainstay"), &dirs.data)?.copying();
    match migration.plan() {
        Ok(plan) if plan.is_unfinished || plan.obstacles.is_empty() => {
            let migrated = migration.run(&mut |_| ())?;
            said.push(format!(
                "moved to {}, {} in all",
                migrated.new.display(),
                plan.files
            ));
        }
        Ok(plan) => said.extend(
            plan.obstacles
                .iter()
                .map(|what| format!("not moved: {what}")),
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }

    // 2. Make what is missing: what is private for us alone, what people look for so that they find it.
    let layout = Layout::new()
        .private(&dirs.data)
        .private(&dirs.logs)
        .shared(&dirs.exports);
    said.extend(
        layout
            .make()?
            .iter()
            .map(|exposure| format!("warning: {exposure}")),
    );

    // 3. One process at a time.
    let _alone = Lock::acquire(&dirs.data.join("LOCK"))?;

    // 4. What can be anywhere takes the first place that will do, and says why it is not the one before.
    let wishes = [dirs.cache, dirs.data.join("cache")];
    match first_fit(&wishes, &Needs::default()) {
        Ok(chosen) => {
            said.extend(
                chosen
                    .refused
                    .iter()
                    .map(|refused| format!("warning: {refused}")),
            );
            Layout::new().private(&chosen.path).make()?;
            said.push(format!("cache in {}", chosen.path.display()));
        }
        Err(_) => said.push("warning: there is no place for a cache".to_owned()),
    }
    Ok(said)
}
