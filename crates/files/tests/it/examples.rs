//! The examples do what they say.

#[path = "../../examples/layout.rs"]
#[expect(dead_code, reason = "here only its start is called")]
mod layout;

#[path = "../../examples/settings.rs"]
mod settings;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

#[test]
fn the_settings_file_survives_a_mistake_and_a_loss() {
    settings::main().unwrap();
}

#[test]
fn the_example_moves_a_folder_in_once_and_makes_the_others() {
    let home = TempDir::new().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at(".mainstay")).unwrap();
    fs::set_permissions(at(".mainstay"), Permissions::from_mode(0o700)).unwrap();
    fs::write(at(".mainstay/state.json"), "{}").unwrap();
    let said = layout::start(home.path()).unwrap();
    assert!(said[0].starts_with("moved to "), "{said:?}");
    assert!(said[0].ends_with(", 1 in all"), "{said:?}");
    assert_eq!(
        fs::read(at(".local/share/mainstay/state.json")).unwrap(),
        b"{}"
    );
    for folder in [
        ".local/state/mainstay/logs",
        "Documents/Mainstay",
        ".cache/mainstay",
    ] {
        assert!(at(folder).is_dir(), "{folder}");
    }
    let again = layout::start(home.path()).unwrap();
    assert_eq!(again.len(), 1, "{again:?}");
}
