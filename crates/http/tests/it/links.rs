//! The system tells that its network changed.

use crate::support::{SECOND, soon};
use mainstay_http::LinkChanges;
use nix::sched::{CloneFlags, unshare};
use std::io::ErrorKind;
use std::process::Command;

/// In a network of its own, where nothing changes that the test does not change.
#[test]
fn a_change_of_a_link_is_heard_and_nothing_else() {
    std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            println!("NOT MEASURED: no network of its own can be had: {error}");
            return;
        }
        let ip = |words: &[&str]| Command::new("ip").args(words).status();
        if ip(&["link", "show", "lo"]).is_err() {
            println!("NOT MEASURED: `ip` (iproute2) is not there to change a link");
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut changes = LinkChanges::listen().unwrap();
            let nothing = tokio::time::timeout(SECOND / 5, changes.changed()).await;
            assert!(nothing.is_err(), "nothing changed: {nothing:?}");
            for words in [
                &["link", "set", "lo", "up"][..],
                &["addr", "add", "127.0.0.2/32", "dev", "lo"],
                &["route", "add", "198.51.100.0/24", "dev", "lo"],
            ] {
                assert!(ip(words).unwrap().success(), "{words:?}");
                soon("the change", changes.changed()).await.unwrap();
                // The rest of what that change came to.
                while tokio::time::timeout(SECOND / 5, changes.changed())
                    .await
                    .is_ok()
                {}
            }
        });
    })
    .join()
    .unwrap();
}

#[tokio::test]
async fn listening_for_changes_needs_no_privilege() {
    match LinkChanges::listen() {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            println!("NOT MEASURED: this sandbox forbids netlink: {error}");
        }
        Err(error) => panic!("nobody forbids it, and it does not work: {error}"),
    }
}
