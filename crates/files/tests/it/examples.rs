//! The examples do what they say.

#[path = "../../examples/settings.rs"]
mod settings;

#[test]
fn the_settings_file_survives_a_mistake_and_a_loss() {
    settings::main().unwrap();
}
