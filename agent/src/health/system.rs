//! What the system says of this process and its limits.

use std::path::{Component, Path};
use std::time::Duration;

/// A part of something that has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Share {
    /// In hundredths, at most 100.
    pub(super) fn percent(self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        percent.min(100) as u64
    }
}

/// The resident memory, of what the control group allows or the machine has; none where the system does not say.
pub(super) fn memory() -> Option<Share> {
    let used = kib(&read("/proc/self/status")?, "VmRSS:")?;
    let machine = kib(&read("/proc/meminfo")?, "MemTotal:")?;
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(Path::new("/sys/fs/cgroup"), &groups);
    Some(Share {
        used,
        limit: group.unwrap_or(machine).min(machine),
    })
}

/// The time that all processors together have worked for this process.
pub(super) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How many processors there are for it.
pub(super) fn processors() -> u32 {
    let known = std::thread::available_parallelism().ok();
    known.map_or(1, |number| u32::try_from(number.get()).unwrap_or(u32::MAX))
}

/// The smallest limit of the control group that `groups` (`/proc/self/cgroup`) names below `root`, and of all that it lies in.
///
/// Of the second version, and of the first, in which memory has a hierarchy of its own: older systems still start with it.
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    let parts = groups.lines().map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next().unwrap_or_default();
        (controllers, parts.next().unwrap_or_default())
    });
    let (mut second, mut first) = ("", "");
    for (controllers, group) in parts {
        if controllers.is_empty() {
            second = group;
        } else if controllers
            .split(',')
            .any(|controller| controller == "memory")
        {
            first = group;
        }
    }
    let second = limit_on_the_way_up(root, second, "memory.max");
    let first = limit_on_the_way_up(&root.join("memory"), first, "memory.limit_in_bytes");
    second.into_iter().chain(first).min()
}

/// Where nothing says which group it is, it is the root: in a container its own group is.
fn limit_on_the_way_up(root: &Path, group: &str, file: &str) -> Option<u64> {
    let group = Path::new(group.trim_start_matches('/'));
    // A group outside of what a container sees begins with `..`.
    let is_below = group
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let group = if is_below { group } else { Path::new("") };
    let limits = group.ancestors().filter_map(|group| {
        let text = read(root.join(group).join(file))?;
        // `max` is no limit; the first version has a number then that no machine reaches.
        text.trim().parse().ok()
    });
    limits.min()
}

/// The files that are open, of those that may be.
pub(super) fn open_files() -> Option<Share> {
    let used = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    Some(Share { used, limit })
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay files out by hand")]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_more_than_all_and_nothing_is_divided_by_nothing() {
        let percent = |used, limit| Share { used, limit }.percent();
        assert_eq!(
            (percent(1, 4), percent(9, 4), percent(1, 0)),
            (25, 100, 100)
        );
        assert_eq!(percent(u64::MAX / 2, u64::MAX), 49);
    }

    /// A unit with `MemoryMax=` was ended by the system long before its agent saw that memory ran out.
    #[test]
    fn the_narrowest_limit_of_memory_on_the_way_up_holds() {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("system.slice/mainstay.service");
        std::fs::create_dir_all(&unit).unwrap();
        let limit = |groups| group_limit(root.path(), groups);
        let groups = "1:name=systemd:/elsewhere\n0::/system.slice/mainstay.service\n";
        assert_eq!(limit(groups), None);
        let set = |group: &str, text| {
            std::fs::write(root.path().join(group).join("memory.max"), text).unwrap();
        };
        set("system.slice/mainstay.service", "536870912\n");
        set("system.slice", "max\n");
        assert_eq!(limit(groups), Some(512 << 20));
        set("system.slice", "1048576\n");
        assert_eq!(limit(groups), Some(1 << 20));
        // In a container its own group is the root, and those around it are not seen.
        set("", "4096\n");
        assert_eq!((limit("0::/\n"), limit("")), (Some(4_096), Some(4_096)));
        assert_eq!(limit("0::/../../other.service\n"), Some(4_096));
    }

    #[test]
    fn on_older_systems_memory_has_groups_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("memory/system.slice/mainstay.service");
        std::fs::create_dir_all(&unit).unwrap();
        let set = |group: &str, text| {
            let group = root.path().join("memory").join(group);
            std::fs::write(group.join("memory.limit_in_bytes"), text).unwrap();
        };
        let limit = |groups| group_limit(root.path(), groups);
        let groups =
            "9:name=systemd:/elsewhere\n4:cpu,memory:/system.slice/mainstay.service\n0::/\n";
        set("system.slice/mainstay.service", "536870912\n");
        set("", "9223372036854771712\n");
        assert_eq!(limit(groups), Some(512 << 20));
        // A container sees its own group as the root, and is told what it is called outside.
        set("", "4096\n");
        let outside = "4:memory:/docker/0123\n";
        assert_eq!(
            (limit(outside), limit("4:memory:/../x\n")),
            (Some(4_096), Some(4_096))
        );
        assert_eq!(limit("nonsense\n4:memory\n::\n"), Some(4_096));
    }

    #[test]
    fn the_numbers_of_the_system_are_read() {
        assert_eq!(
            kib("VmPeak: 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"),
            Some(12 * 1024)
        );
        assert_eq!(kib("VmRSS: many\n", "VmRSS:"), None);
        #[cfg(target_os = "linux")]
        {
            let (memory, files) = (memory().unwrap(), open_files().unwrap());
            assert!(0 < memory.used && memory.used < memory.limit, "{memory:?}");
            assert!(processor_time() > Duration::ZERO && processors() > 0);
            assert!(0 < files.used && files.used < files.limit, "{files:?}");
        }
    }
}
