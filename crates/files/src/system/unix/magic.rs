//! The numbers by which Linux tells file systems apart.

use crate::space::FileSystem;
use std::io;
use std::path::Path;

/// Number (`statfs(2)`, and `linux/magic.h`), name, and whether another machine may change what is on it.
const KNOWN: &[(u32, &str, bool)] = &[
    (0x0000_EF53, "ext4", false),
    (0x5846_5342, "xfs", false),
    (0x9123_683E, "btrfs", false),
    (0x2FC1_2FC1, "zfs", false),
    (0xF2F5_2010, "f2fs", false),
    (0xCA45_1A4E, "bcachefs", false),
    (0x3153_464A, "jfs", false),
    (0x5265_4973, "reiserfs", false),
    (0x2405_1905, "ubifs", false),
    (0x0000_4D44, "vfat", false),
    (0x2011_BAB0, "exfat", false),
    (0x5346_544E, "ntfs", false),
    (0x7366_746E, "ntfs3", false),
    (0x0000_9660, "iso9660", false),
    (0x7371_7368, "squashfs", false),
    (0xE0F5_E1E2, "erofs", false),
    (0x0102_1994, "tmpfs", false),
    (0x8584_58F6, "ramfs", false),
    (0x794C_7630, "overlay", false),
    (0x0000_F15F, "ecryptfs", false),
    (0x0000_6969, "nfs", true),
    (0xFF53_4D42, "cifs", true),
    (0xFE53_4D42, "cifs", true),
    (0x0000_517B, "cifs", true),
    (0x6573_5546, "fuse", true),
    (0x0102_1997, "9p", true),
    (0x00C3_6400, "ceph", true),
    (0x5346_414F, "afs", true),
    (0x7375_7245, "coda", true),
    (0x0BD0_0BD0, "lustre", true),
    (0x0116_1970, "gfs2", true),
    (0x7461_636F, "ocfs2", true),
    (0x4750_4653, "gpfs", true),
    (0x786F_4256, "vboxsf", true),
];

pub(crate) fn file_system(path: &Path) -> io::Result<FileSystem> {
    crate::system::faults::pass("statfs")?;
    // The number has 32 bits; the field is wider, and signed, on some machines.
    let number = rustix::fs::statfs(path)?.f_type as u32;
    Ok(name(number))
}

fn name(number: u32) -> FileSystem {
    match KNOWN.iter().find(|known| known.0 == number) {
        Some((_, kind, network)) => FileSystem {
            kind: (*kind).into(),
            network: *network,
        },
        None => FileSystem {
            kind: format!("0x{number:08x}").into(),
            network: false,
        },
    }
}
