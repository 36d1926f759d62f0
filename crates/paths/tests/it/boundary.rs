//! Nothing is written where only installers write, or where a link leads.

use mainstay_paths::{
    AppDirs, AppId, Boundary, Environment, Platform, Reason, Refused, Restricted,
};
use std::io;
use std::path::{Path, PathBuf};

/// A machine on which every path exists and no link leads anywhere.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where a look at the disk stands"
)]
fn straight(path: &Path) -> io::Result<PathBuf> {
    Ok(path.to_owned())
}

fn boundary(environment: &Environment, installation: Option<&str>) -> Boundary {
    let dirs = AppDirs::resolve(&AppId::MAINSTAY, environment);
    Boundary::new(&dirs, environment, installation.map(Path::new))
}

fn reason(judged: Result<(), Refused>) -> Option<Reason> {
    judged.err().map(|refused| refused.reason())
}

/// What is said of a path that the application comes to by itself, and of the same one chosen by a person.
fn judged(boundary: &Boundary, path: &str) -> (Option<Reason>, Option<Reason>) {
    let judge = |own_only| reason(boundary.check(Path::new(path), own_only, &straight));
    (judge(true), judge(false))
}

const SYSTEM: Option<Reason> = Some(Reason::Restricted(Restricted::System));
const PROGRAMS: Option<Reason> = Some(Reason::Restricted(Restricted::Programs));
const BUNDLE: Option<Reason> = Some(Reason::Restricted(Restricted::Bundle));
const INSTALLATION: Option<Reason> = Some(Reason::Restricted(Restricted::Installation));
const NOT_OURS: Option<Reason> = Some(Reason::NotOurs);

#[test]
fn on_linux_only_our_folders_are_written_and_never_the_systems() {
    let environment = Environment::injected(Platform::Linux).with("HOME", "/home/ada");
    let boundary = boundary(&environment, Some("/srv/programs/mainstay"));
    for (path, expected) in [
        ("/home/ada/.local/share/mainstay/queue/x", (None, None)),
        ("/home/ada/.config/mainstay", (None, None)),
        ("/home/ada/Documents/Mainstay/report.csv", (None, None)),
        ("/home/ada/.local/share/mainstayx", (NOT_OURS, None)),
        ("/home/ada/Documents/mainstay/report.csv", (NOT_OURS, None)),
        ("/home/ada", (NOT_OURS, None)),
        ("/var/lib/station", (NOT_OURS, None)),
        ("/dev/shm/station", (NOT_OURS, None)),
        ("/run/media/ada/stick", (NOT_OURS, None)),
        ("/usr/local/share/x", (SYSTEM, SYSTEM)),
        ("/etc/passwd", (SYSTEM, SYSTEM)),
        ("/usr", (SYSTEM, SYSTEM)),
        ("/proc/self/mem", (SYSTEM, SYSTEM)),
        ("/srv/programs/mainstay/data", (INSTALLATION, INSTALLATION)),
    ] {
        assert_eq!(judged(&boundary, path), expected, "{path}");
    }
}

#[test]
fn a_service_writes_to_its_folder_in_a_place_of_the_system() {
    let environment = Environment::injected(Platform::Linux).as_root();
    let boundary = boundary(&environment, None);
    assert_eq!(
        judged(&boundary, "/etc/mainstay/mainstay.toml"),
        (None, None)
    );
    assert_eq!(judged(&boundary, "/etc/mainstay2"), (SYSTEM, SYSTEM));
}

#[test]
fn on_macos_bundles_and_the_systems_folders_are_left_whatever_their_case() {
    let environment = Environment::injected(Platform::MacOs).with("HOME", "/Users/ada");
    let boundary = boundary(&environment, None);
    for (path, expected) in [
        (
            "/Users/ada/Library/Application Support/Mainstay/x",
            (None, None),
        ),
        ("/users/ADA/library/caches/mainstay/x", (None, None)),
        (
            "/Users/ada/Downloads/Mainstay.app/Contents/data",
            (BUNDLE, BUNDLE),
        ),
        ("/Users/ada/My.APP", (BUNDLE, BUNDLE)),
        ("/Applications/Mainstay/data", (PROGRAMS, PROGRAMS)),
        ("/system/Library/x", (SYSTEM, SYSTEM)),
        ("/Volumes/stick/x", (NOT_OURS, None)),
    ] {
        assert_eq!(judged(&boundary, path), expected, "{path}");
    }
}

#[test]
fn on_windows_program_files_are_left_by_whatever_variable_and_case() {
    let environment = Environment::injected(Platform::Windows)
        .with("USERPROFILE", "C:\\Users\\ada")
        .with("ProgramFiles", "D:\\Programme");
    let boundary = boundary(&environment, None);
    for (path, expected) in [
        (
            "C:\\Users\\ada\\AppData\\Local\\Mainstay\\queue",
            (None, None),
        ),
        ("c:/users/ADA/appdata/local/mainstay", (None, None)),
        (
            "\\\\?\\C:\\Users\\ada\\AppData\\Local\\Mainstay",
            (None, None),
        ),
        ("d:\\PROGRAMME\\Mainstay\\data", (PROGRAMS, PROGRAMS)),
        ("C:\\Program Files (x86)\\x", (PROGRAMS, PROGRAMS)),
        ("C:\\windows\\system32\\x", (SYSTEM, SYSTEM)),
        ("C:\\ProgramData\\Other", (NOT_OURS, None)),
        // Without a variable the usual folder is meant, and never the folder that the process stands in.
        ("E:\\x", (NOT_OURS, None)),
    ] {
        assert_eq!(judged(&boundary, path), expected, "{path}");
    }
}

#[test]
fn a_path_that_is_relative_or_goes_up_is_refused_before_it_is_followed() {
    let environment = Environment::injected(Platform::Linux).with("HOME", "/home/ada");
    let boundary = boundary(&environment, None);
    let never = |path: &Path| -> io::Result<PathBuf> { panic!("{} is followed", path.display()) };
    for (path, expected) in [
        ("data/x", Reason::Relative),
        ("", Reason::Relative),
        ("C:\\x", Reason::Relative),
        ("/home/ada/.local/share/mainstay/../../x", Reason::Traversal),
        ("/home/ada/.local/share/mainstay/..", Reason::Traversal),
        ("/home/ada/x\0y", Reason::Traversal),
    ] {
        let judged = boundary.check(Path::new(path), false, &never);
        assert_eq!(reason(judged), Some(expected), "{path:?}");
    }
}

#[test]
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "the test plays the neighbour")]
fn a_link_out_of_our_folder_is_refused_and_one_that_leads_into_it_is_followed() {
    let root = std::env::temp_dir().join(format!("mainstay-paths-{}", std::process::id()));
    let link = |to: &Path, at: &Path| std::os::unix::fs::symlink(to, at).unwrap();
    let home = root.join("home");
    let environment =
        Environment::injected(Platform::Linux).with("HOME", home.clone().into_os_string());
    let dirs = AppDirs::resolve(&AppId::MAINSTAY, &environment);
    let boundary = Boundary::new(&dirs, &environment, None);
    for folder in [&dirs.data, &root.join("elsewhere")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    link(&root.join("elsewhere"), &dirs.data.join("out"));
    link(&dirs.data, &root.join("in"));
    link(Path::new("/usr"), &dirs.data.join("system"));
    link(&dirs.data.join("loop"), &dirs.data.join("loop"));
    let own = |path: &Path| reason(boundary.check_own(path));
    let answers = [
        own(&dirs.data.join("not/yet/there")),
        own(&root.join("in/new")),
        own(&dirs.data.join("out/new")),
        own(&dirs.data.join("system/x")),
        own(&dirs.data.join("loop/x")),
        reason(boundary.check_chosen(&root.join("elsewhere/x"))),
        reason(
            boundary
                .clone()
                .with(&root.join("elsewhere"))
                .check_own(&dirs.data.join("out/new")),
        ),
    ];
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(
        answers,
        [
            None,
            None,
            Some(Reason::LinkedOut),
            SYSTEM,
            Some(Reason::Unreadable),
            None,
            None
        ]
    );
}

#[test]
fn a_refusal_says_what_to_do() {
    let environment = Environment::injected(Platform::Linux).with("HOME", "/home/ada");
    let boundary = boundary(&environment, None);
    let refused = boundary
        .check(Path::new("/usr/share/x"), false, &straight)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`/usr/share/x` belongs to the operating system; choose a folder of your own"
    );
    assert_eq!(refused.path(), Path::new("/usr/share/x"));
}
