//! The folders of an application: one table for each platform.

use crate::app_id::AppId;
use crate::environment::{Environment, Platform};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where an application's files go. Resolve it once, and hand it on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppDirs {
    /// What people write.
    pub config: PathBuf,
    /// The file that people write: the application's short name with `.toml`, in [`config`](Self::config).
    pub config_file: PathBuf,
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
    /// What people asked for and look for themselves: reports, tables, bundles.
    pub exports: PathBuf,
}

/// For whom an application is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// For the user who runs it.
    User,
    /// For the machine, as a service: the service manager's folders, then the system's custom; no user's wish counts.
    System,
    /// For whoever has this folder, as on a stick: everything lies below it, and nothing of it elsewhere.
    Portable(PathBuf),
}

impl AppDirs {
    /// The folders of `app`, for a process with this environment; the crate's documentation has the table.
    ///
    /// Root, and on Windows a service, has the folders of the system; what it wishes by `XDG_*` is honoured all the same.
    pub fn resolve(app: &AppId, environment: &Environment) -> Self {
        let is_system = environment.is_root();
        match environment.platform() {
            Platform::Linux => linux(app, environment, is_system, true),
            Platform::MacOs => macos(app, environment, is_system),
            Platform::Windows => windows(app, environment, is_system),
        }
    }

    /// The folders of `app`, installed for somebody in particular.
    pub fn of_scope(app: &AppId, environment: &Environment, scope: &Scope) -> Self {
        let is_system = match scope {
            Scope::Portable(folder) => return portable(app, environment.platform(), folder),
            Scope::System => true,
            Scope::User => false,
        };
        match environment.platform() {
            Platform::Linux => linux(app, environment, is_system, !is_system),
            Platform::MacOs => macos(app, environment, is_system),
            Platform::Windows => windows(app, environment, is_system),
        }
    }

    /// Every folder with what it is called, in the order of the crate's table.
    pub fn folders(&self) -> [(&'static str, &Path); 7] {
        [
            ("config", &self.config),
            ("data", &self.data),
            ("cache", &self.cache),
            ("logs", &self.logs),
            ("runtime", &self.runtime),
            ("temp", &self.temp),
            ("exports", &self.exports),
        ]
    }

    /// The same with everything that the program itself writes below `data`; what people write stays where it is.
    ///
    /// It is what `--data` means: two instances with two data folders share nothing that they write.
    #[must_use]
    pub fn with_data(self, data: &Path) -> Self {
        let cache = data.join("cache");
        Self {
            config: self.config,
            config_file: self.config_file,
            temp: cache.join("temp"),
            exports: data.join("exports"),
            cache,
            logs: data.join("logs"),
            runtime: data.join("run"),
            data: data.to_owned(),
        }
    }
}

/// systemd's folders first, then XDG's, then the custom: that of the system for a service and for a user without a home.
fn linux(app: &AppId, environment: &Environment, is_system: bool, has_wishes: bool) -> AppDirs {
    let name = app.short();
    let home = environment.absolute("HOME").filter(|_| !is_system);
    let wished = |wish: &str| environment.absolute(wish).filter(|_| has_wishes);
    let find = |service: &str, wish: &str, custom: &str, system: &str| {
        from_service(environment, service)
            .or_else(|| wished(wish).map(|base| below(&base, "/", &[name])))
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
        .or_else(|| wished("XDG_STATE_HOME").map(|base| below(&base, "/", &[name, "logs"])))
        .or_else(|| {
            home.as_ref()
                .map(|home| below(home, "/", &[".local/state", name, "logs"]))
        })
        .unwrap_or_else(|| below(Path::new("/var/log"), "/", &[name]));
    let runtime = from_service(environment, "RUNTIME_DIRECTORY")
        .or_else(|| wished("XDG_RUNTIME_DIR").map(|base| below(&base, "/", &[name])))
        .or_else(|| home.as_ref().map(|_| below(&data, "/", &["run"])))
        .unwrap_or_else(|| below(Path::new("/run"), "/", &[name]));
    let config = find(
        "CONFIGURATION_DIRECTORY",
        "XDG_CONFIG_HOME",
        ".config",
        "/etc",
    );
    // Nobody looks for a service's exports among their own documents.
    let documents = home.as_ref().map(|home| {
        wished("XDG_DOCUMENTS_DIR").unwrap_or_else(|| below(home, "/", &["Documents"]))
    });
    AppDirs {
        config_file: config_file(app, &config, "/"),
        config,
        temp: below(&cache, "/", &["temp"]),
        exports: documents.map_or_else(
            || below(&data, "/", &["exports"]),
            |documents| below(&documents, "/", &[app.title()]),
        ),
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

/// Everything below the user's Library; below the machine's for a service, and for a user without a home.
fn macos(app: &AppId, environment: &Environment, is_system: bool) -> AppDirs {
    let name = app.title();
    let home = environment.absolute("HOME").filter(|_| !is_system);
    let library = home.as_ref().map_or_else(
        || PathBuf::from("/Library"),
        |home| below(home, "/", &["Library"]),
    );
    let data = below(&library, "/", &["Application Support", name]);
    let cache = below(&library, "/", &["Caches", name]);
    let config = below(&data, "/", &["config"]);
    AppDirs {
        config_file: config_file(app, &config, "/"),
        config,
        logs: below(&library, "/", &["Logs", name]),
        runtime: below(&data, "/", &["run"]),
        temp: below(&cache, "/", &["temp"]),
        exports: home.map_or_else(
            || below(&data, "/", &["exports"]),
            |home| below(&home, "/", &["Documents", name]),
        ),
        data,
        cache,
    }
}

/// The user's application data, the roaming part for config; the machine's for a service, and for a user without a profile.
fn windows(app: &AppId, environment: &Environment, is_system: bool) -> AppDirs {
    let name = app.title();
    let shared = environment
        .absolute("ProgramData")
        .unwrap_or_else(|| PathBuf::from("C:\\ProgramData"));
    let profile = environment.absolute("USERPROFILE").filter(|_| !is_system);
    let find = |wish: &str, custom: &str| {
        let wished = environment.absolute(wish).filter(|_| !is_system);
        let custom = || {
            profile
                .as_ref()
                .map(|home| below(home, "\\", &["AppData", custom]))
        };
        wished.or_else(custom).unwrap_or_else(|| shared.clone())
    };
    let data = below(&find("LOCALAPPDATA", "Local"), "\\", &[name]);
    let cache = below(&data, "\\", &["Cache"]);
    let config = below(&find("APPDATA", "Roaming"), "\\", &[name, "config"]);
    AppDirs {
        config_file: config_file(app, &config, "\\"),
        config,
        logs: below(&data, "\\", &["Logs"]),
        runtime: below(&data, "\\", &["run"]),
        temp: below(&cache, "\\", &["temp"]),
        exports: profile.as_ref().map_or_else(
            || below(&data, "\\", &["Exports"]),
            |home| below(home, "\\", &["Documents", name]),
        ),
        data,
        cache,
    }
}

/// All in one folder that can be carried away.
fn portable(app: &AppId, platform: Platform, folder: &Path) -> AppDirs {
    let separator = platform.separator();
    let at = |names: &[&str]| below(folder, separator, names);
    let config = at(&["config"]);
    AppDirs {
        config_file: config_file(app, &config, separator),
        config,
        data: at(&["data"]),
        cache: at(&["cache"]),
        logs: at(&["logs"]),
        runtime: at(&["data", "run"]),
        temp: at(&["cache", "temp"]),
        exports: at(&["exports"]),
    }
}

fn config_file(app: &AppId, config: &Path, separator: &str) -> PathBuf {
    below(config, separator, &[&format!("{}.toml", app.short())])
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
