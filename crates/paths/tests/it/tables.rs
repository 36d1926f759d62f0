//! Every platform's folders, on whatever machine the test runs.

use mainstay_paths::{AppDirs, AppId, Environment, Platform, Scope};
use std::path::{Path, PathBuf};

/// In the order config, data, cache, logs, runtime, temp.
fn resolve(environment: &Environment) -> [String; 6] {
    let dirs = AppDirs::resolve(&AppId::MAINSTAY, environment);
    let text = |path: PathBuf| {
        path.into_os_string()
            .into_string()
            .expect("these tests use text")
    };
    [
        text(dirs.config),
        text(dirs.data),
        text(dirs.cache),
        text(dirs.logs),
        text(dirs.runtime),
        text(dirs.temp),
    ]
}

fn linux() -> Environment {
    Environment::injected(Platform::Linux).with("HOME", "/home/ada")
}

const CUSTOM: [&str; 6] = [
    "/home/ada/.config/mainstay",
    "/home/ada/.local/share/mainstay",
    "/home/ada/.cache/mainstay",
    "/home/ada/.local/state/mainstay/logs",
    "/home/ada/.local/share/mainstay/run",
    "/home/ada/.cache/mainstay/temp",
];

const SYSTEM: [&str; 6] = [
    "/etc/mainstay",
    "/var/lib/mainstay",
    "/var/cache/mainstay",
    "/var/log/mainstay",
    "/run/mainstay",
    "/var/cache/mainstay/temp",
];

#[test]
fn a_linux_user_has_the_folders_of_custom() {
    assert_eq!(resolve(&linux()), CUSTOM);
}

#[test]
fn a_linux_users_wishes_are_honoured() {
    let environment = linux()
        .with("XDG_CONFIG_HOME", "/c")
        .with("XDG_DATA_HOME", "/d/")
        .with("XDG_CACHE_HOME", "/k")
        .with("XDG_STATE_HOME", "/s")
        .with("XDG_RUNTIME_DIR", "/run/user/1000");
    let expected = [
        "/c/mainstay",
        "/d/mainstay",
        "/k/mainstay",
        "/s/mainstay/logs",
        "/run/user/1000/mainstay",
        "/k/mainstay/temp",
    ];
    assert_eq!(resolve(&environment), expected);
    assert_eq!(resolve(&environment.as_root()), expected);
}

#[test]
fn what_is_empty_or_relative_counts_as_not_set() {
    let environment = linux()
        .with("XDG_CONFIG_HOME", "")
        .with("XDG_DATA_HOME", "data")
        .with("XDG_CACHE_HOME", "./cache")
        .with("XDG_STATE_HOME", "~/state")
        .with("XDG_RUNTIME_DIR", "C:\\run")
        .with("STATE_DIRECTORY", "mainstay");
    assert_eq!(resolve(&environment), CUSTOM);
}

#[test]
fn root_and_a_user_without_a_home_have_the_systems_folders() {
    assert_eq!(
        resolve(
            &Environment::injected(Platform::Linux)
                .with("HOME", "/root")
                .as_root()
        ),
        SYSTEM
    );
    assert_eq!(resolve(&Environment::injected(Platform::Linux)), SYSTEM);
}

#[test]
fn the_service_manager_has_the_first_word() {
    let environment = linux()
        .with("XDG_CONFIG_HOME", "/c")
        .with("XDG_DATA_HOME", "/d")
        .with("CONFIGURATION_DIRECTORY", "/etc/station")
        .with("STATE_DIRECTORY", "/var/lib/station:/var/lib/other")
        .with("CACHE_DIRECTORY", "/var/cache/station")
        .with("LOGS_DIRECTORY", "/var/log/station")
        .with("RUNTIME_DIRECTORY", "/run/station");
    let expected = [
        "/etc/station",
        "/var/lib/station",
        "/var/cache/station",
        "/var/log/station",
        "/run/station",
        "/var/cache/station/temp",
    ];
    assert_eq!(resolve(&environment), expected);
}

#[test]
fn a_service_with_some_folders_has_the_usual_ones_for_the_rest() {
    let environment = Environment::injected(Platform::Linux)
        .as_root()
        .with("STATE_DIRECTORY", "/var/lib/station");
    let mut expected = SYSTEM;
    expected[1] = "/var/lib/station";
    assert_eq!(resolve(&environment), expected);
}

#[test]
fn a_mac_has_its_library() {
    let environment = Environment::injected(Platform::MacOs)
        .with("HOME", "/Users/ada")
        .with("XDG_DATA_HOME", "/d");
    let expected = [
        "/Users/ada/Library/Application Support/Mainstay/config",
        "/Users/ada/Library/Application Support/Mainstay",
        "/Users/ada/Library/Caches/Mainstay",
        "/Users/ada/Library/Logs/Mainstay",
        "/Users/ada/Library/Application Support/Mainstay/run",
        "/Users/ada/Library/Caches/Mainstay/temp",
    ];
    assert_eq!(resolve(&environment), expected);
    let system = resolve(&environment.as_root());
    assert_eq!(system, expected.map(|path| path.replace("/Users/ada", "")));
}

#[test]
fn windows_has_its_application_data() {
    let environment = Environment::injected(Platform::Windows)
        .with("APPDATA", "C:\\Users\\ada\\AppData\\Roaming")
        .with("LOCALAPPDATA", "C:\\Users\\ada\\AppData\\Local")
        .with("ProgramData", "D:\\Shared");
    let expected = [
        "C:\\Users\\ada\\AppData\\Roaming\\Mainstay\\config",
        "C:\\Users\\ada\\AppData\\Local\\Mainstay",
        "C:\\Users\\ada\\AppData\\Local\\Mainstay\\Cache",
        "C:\\Users\\ada\\AppData\\Local\\Mainstay\\Logs",
        "C:\\Users\\ada\\AppData\\Local\\Mainstay\\run",
        "C:\\Users\\ada\\AppData\\Local\\Mainstay\\Cache\\temp",
    ];
    assert_eq!(resolve(&environment), expected);
    let profile = Environment::injected(Platform::Windows).with("USERPROFILE", "C:\\Users\\ada");
    assert_eq!(resolve(&profile), expected);
    let service = ["config", "", "Cache", "Logs", "run", "Cache\\temp"].map(|name| {
        format!("D:\\Shared\\Mainstay\\{name}")
            .trim_end_matches('\\')
            .to_owned()
    });
    assert_eq!(resolve(&environment.as_root()), service);
}

#[test]
fn windows_without_a_usable_variable_has_the_machines_folder() {
    let environment = Environment::injected(Platform::Windows)
        .with("LOCALAPPDATA", "Local")
        .with("APPDATA", "/x");
    let [config, data, ..] = resolve(&environment);
    assert_eq!(
        (config.as_str(), data.as_str()),
        (
            "C:\\ProgramData\\Mainstay\\config",
            "C:\\ProgramData\\Mainstay"
        )
    );
    let share =
        Environment::injected(Platform::Windows).with("LOCALAPPDATA", "\\\\server\\homes\\ada");
    assert_eq!(resolve(&share)[1], "\\\\server\\homes\\ada\\Mainstay");
}

#[test]
fn a_data_folder_takes_all_that_is_written_with_it() {
    let dirs = AppDirs::resolve(&AppId::MAINSTAY, &linux());
    let moved = dirs.clone().with_data(Path::new("/srv/line7"));
    assert_eq!(moved.config, dirs.config);
    assert_eq!(moved.data, Path::new("/srv/line7"));
    assert_eq!(moved.config_file, dirs.config_file);
    for written in [
        &moved.cache,
        &moved.logs,
        &moved.runtime,
        &moved.temp,
        &moved.exports,
    ] {
        assert!(
            written.starts_with("/srv/line7") && *written != moved.data,
            "{}",
            written.display()
        );
    }
}

#[test]
fn an_application_is_called_by_its_own_name_once() {
    let app = AppId::new("station", "Test Station").unwrap();
    let data = |platform, home| {
        let environment = Environment::injected(platform).with("HOME", home);
        AppDirs::resolve(&app, &environment).data
    };
    assert_eq!(
        data(Platform::Linux, "/home/ada"),
        Path::new("/home/ada/.local/share/station")
    );
    assert_eq!(
        data(Platform::MacOs, "/Users/ada"),
        Path::new("/Users/ada/Library/Application Support/Test Station")
    );
}

#[test]
fn a_name_that_is_no_folder_name_is_refused() {
    for name in ["", "..", "a/b", "a\\b", "con", "a\n", ".hidden"] {
        assert!(AppId::new(name, "Title").is_err(), "{name:?}");
        assert!(AppId::new("short", name).is_err(), "{name:?}");
    }
    let error = AppId::new("a/b", "Title").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a/b` cannot be the name of an application's folders; `a_b` can"
    );
}

fn file_and_exports(dirs: &AppDirs) -> [&str; 2] {
    [&dirs.config_file, &dirs.exports].map(|path| path.to_str().expect("these tests use text"))
}

#[test]
fn what_people_write_and_what_they_look_for_have_their_places() {
    let resolve = |environment: &Environment| AppDirs::resolve(&AppId::MAINSTAY, environment);
    assert_eq!(
        file_and_exports(&resolve(&linux())),
        [
            "/home/ada/.config/mainstay/mainstay.toml",
            "/home/ada/Documents/Mainstay"
        ]
    );
    assert_eq!(
        file_and_exports(&resolve(
            &linux().with("XDG_DOCUMENTS_DIR", "/home/ada/Dokumente")
        ))[1],
        "/home/ada/Dokumente/Mainstay"
    );
    assert_eq!(
        file_and_exports(&resolve(&linux().as_root())),
        ["/etc/mainstay/mainstay.toml", "/var/lib/mainstay/exports"]
    );
    let mac = Environment::injected(Platform::MacOs).with("HOME", "/Users/ada");
    assert_eq!(
        file_and_exports(&resolve(&mac)),
        [
            "/Users/ada/Library/Application Support/Mainstay/config/mainstay.toml",
            "/Users/ada/Documents/Mainstay"
        ]
    );
    let windows = Environment::injected(Platform::Windows).with("USERPROFILE", "C:\\Users\\ada");
    assert_eq!(
        file_and_exports(&resolve(&windows)),
        [
            "C:\\Users\\ada\\AppData\\Roaming\\Mainstay\\config\\mainstay.toml",
            "C:\\Users\\ada\\Documents\\Mainstay"
        ]
    );
    assert_eq!(
        file_and_exports(&resolve(&windows.as_root()))[1],
        "C:\\ProgramData\\Mainstay\\Exports"
    );
}

#[test]
fn a_service_is_not_moved_by_a_users_wishes() {
    let environment = linux()
        .with("XDG_DATA_HOME", "/d")
        .with("XDG_RUNTIME_DIR", "/run/user/1000")
        .with("STATE_DIRECTORY", "/var/lib/station");
    let dirs = AppDirs::of_scope(&AppId::MAINSTAY, &environment, &Scope::System);
    assert_eq!(dirs.data, Path::new("/var/lib/station"));
    assert_eq!(dirs.runtime, Path::new("/run/mainstay"));
    assert_eq!(dirs.config, Path::new("/etc/mainstay"));
    let user = AppDirs::of_scope(&AppId::MAINSTAY, &linux().as_root(), &Scope::User);
    assert_eq!(user.data, Path::new("/home/ada/.local/share/mainstay"));
}

#[test]
fn a_portable_application_keeps_everything_in_its_folder() {
    for (platform, folder) in [
        (Platform::Linux, "/media/stick"),
        (Platform::MacOs, "/Volumes/stick"),
        (Platform::Windows, "E:\\stick"),
    ] {
        let environment = Environment::injected(platform)
            .with("HOME", "/home/ada")
            .with("XDG_CACHE_HOME", "/k")
            .with("LOCALAPPDATA", "C:\\x");
        let scope = Scope::Portable(folder.into());
        let dirs = AppDirs::of_scope(&AppId::MAINSTAY, &environment, &scope);
        let mut seen = std::collections::BTreeSet::new();
        for (name, path) in dirs.folders() {
            assert!(path.to_str().unwrap().starts_with(folder), "{name}");
            assert!(
                seen.insert(path.to_owned()),
                "{name} has a folder of its own"
            );
        }
    }
    let stick = Scope::Portable("E:\\stick".into());
    let environment = Environment::injected(Platform::Windows);
    let dirs = AppDirs::of_scope(&AppId::MAINSTAY, &environment, &stick);
    assert_eq!(dirs.temp, Path::new("E:\\stick\\cache\\temp"));
}
