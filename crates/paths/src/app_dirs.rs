//! The six folders of an application: one table for each platform.

use crate::app_id::AppId;
use crate::environment::{Environment, Platform};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where an application's files go. Resolve it once, and hand it on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppDirs {
    /// What people write: `mainstay.toml`.
    pub config: PathBuf,
    /// What must not be lost: queue, work, archive, quarantine, state.
    pub data: PathBuf,
    /// What may be deleted at any time.
    pub cache: PathBuf,
    /// What happened: logs and crash reports.
    pub logs: PathBuf,
    /// What is gone after a restart of the machine: sockets.
    pub runtime: PathBuf,
    /// Files on the way, on the file system of the cache.
    pub temp: PathBuf,
}

impl AppDirs {
    /// The folders of `app`, for a process with this environment; the crate's documentation has the table.
    pub fn resolve(app: &AppId, environment: &Environment) -> Self {
        match environment.platform() {
            Platform::Linux => linux(app.short(), environment),
            Platform::MacOs => macos(app.title(), environment),
            Platform::Windows => windows(app.title(), environment),
        }
    }

    /// The same with everything that the program itself writes below `data`; what people write stays where it is.
    ///
    /// It is what `--data` means: two instances with two data folders share nothing that they write.
    #[must_use]
    pub fn with_data(self, data: &Path) -> Self {
        let cache = data.join("cache");
        Self {
            config: self.config,
            temp: cache.join("temp"),
            cache,
            logs: data.join("logs"),
            runtime: data.join("run"),
            data: data.to_owned(),
        }
    }
}

/// systemd's folders first, then XDG's, then the custom: that of the system for root and for a user without a home.
fn linux(name: &str, environment: &Environment) -> AppDirs {
    let home = environment
        .absolute("HOME")
        .filter(|_| !environment.is_root());
    let find = |service: &str, wish: &str, custom: &str, system: &str| {
        from_service(environment, service)
            .or_else(|| {
                environment
                    .absolute(wish)
                    .map(|base| below(&base, "/", &[name]))
            })
            .or_else(|| home.as_ref().map(|home| below(home, "/", &[custom, name])))
            .unwrap_or_else(|| below(Path::new(system), "/", &[name]))
    };
    let data = find(
        "STATE_DIRECTORY",
        "XDG_DATA_HOME",
        ".local/share",
        "/var/lib",
    );
    let cache = find("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache", "/var/cache");
    let logs = from_service(environment, "LOGS_DIRECTORY")
        .or_else(|| {
            environment
                .absolute("XDG_STATE_HOME")
                .map(|base| below(&base, "/", &[name, "logs"]))
        })
        .or_else(|| {
            home.as_ref()
                .map(|home| below(home, "/", &[".local/state", name, "logs"]))
        })
        .unwrap_or_else(|| below(Path::new("/var/log"), "/", &[name]));
    let runtime = from_service(environment, "RUNTIME_DIRECTORY")
        .or_else(|| {
            environment
                .absolute("XDG_RUNTIME_DIR")
                .map(|base| below(&base, "/", &[name]))
        })
        .or_else(|| home.as_ref().map(|_| below(&data, "/", &["run"])))
        .unwrap_or_else(|| below(Path::new("/run"), "/", &[name]));
    AppDirs {
        config: find(
            "CONFIGURATION_DIRECTORY",
            "XDG_CONFIG_HOME",
            ".config",
            "/etc",
        ),
        temp: below(&cache, "/", &["temp"]),
        data,
        cache,
        logs,
        runtime,
    }
}

/// A service with several folders of one kind gets them all, separated by colons; ours is the first.
fn from_service(environment: &Environment, name: &str) -> Option<PathBuf> {
    let folders = environment.absolute(name)?.into_os_string();
    match folders.to_str() {
        Some(folders) => folders.split(':').next().map(PathBuf::from),
        // systemd hands out no others.
        None => Some(folders.into()),
    }
}

/// Everything below the user's Library; below the machine's for root, and for a user without a home.
fn macos(name: &str, environment: &Environment) -> AppDirs {
    let home = environment
        .absolute("HOME")
        .filter(|_| !environment.is_root());
    let library = home.map_or_else(
        || PathBuf::from("/Library"),
        |home| below(&home, "/", &["Library"]),
    );
    let data = below(&library, "/", &["Application Support", name]);
    let cache = below(&library, "/", &["Caches", name]);
    AppDirs {
        config: below(&data, "/", &["config"]),
        logs: below(&library, "/", &["Logs", name]),
        runtime: below(&data, "/", &["run"]),
        temp: below(&cache, "/", &["temp"]),
        data,
        cache,
    }
}

/// The user's application data, the roaming part for config; the machine's for a service, and for a user without a profile.
fn windows(name: &str, environment: &Environment) -> AppDirs {
    let shared = environment
        .absolute("ProgramData")
        .unwrap_or_else(|| PathBuf::from("C:\\ProgramData"));
    let find = |wish: &str, custom: &str| {
        if environment.is_root() {
            return shared.clone();
        }
        let custom = || {
            environment
                .absolute("USERPROFILE")
                .map(|home| below(&home, "\\", &["AppData", custom]))
        };
        environment
            .absolute(wish)
            .or_else(custom)
            .unwrap_or_else(|| shared.clone())
    };
    let data = below(&find("LOCALAPPDATA", "Local"), "\\", &[name]);
    let cache = below(&data, "\\", &["Cache"]);
    AppDirs {
        config: below(&find("APPDATA", "Roaming"), "\\", &[name, "config"]),
        logs: below(&data, "\\", &["Logs"]),
        runtime: below(&data, "\\", &["run"]),
        temp: below(&cache, "\\", &["temp"]),
        data,
        cache,
    }
}

/// Joined by hand, so that each table gives the same on every machine.
fn below(base: &Path, separator: &str, names: &[&str]) -> PathBuf {
    let mut path: OsString = base.into();
    for name in names {
        if !path.as_encoded_bytes().ends_with(separator.as_bytes()) {
            path.push(separator);
        }
        path.push(name);
    }
    path.into()
}
