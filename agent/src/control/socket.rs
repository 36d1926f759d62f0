//! The socket file: made whole, found behind long paths, open to its owner alone.

use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use mainstay_supervise::{Held, Holdings, Resource};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

/// The address of a Unix socket has 108 bytes, its end included; longer paths go through the folder's descriptor.
const PATH_MAX: usize = 107;

/// The control socket of a running agent; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: Held<UnixListener>,
    path: PathBuf,
}

impl Listener {
    /// Makes the socket. The data folder's lock has to be held: a socket that is there belongs to a process that is not.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn open(data: &DataDir, holdings: &Holdings) -> Result<Self, Failure> {
        let path = data.socket();
        let listener = bind(&path).map_err(|error| {
            Failure::new(
                Exit::StartFailed,
                format!("cannot make the control socket `{}`", path.display()),
            )
            .because(error)
        })?;
        let listener = holdings.hold(Resource::Listener, "the control socket", listener, drop);
        Ok(Self { listener, path })
    }
}

/// Bound beside its place, closed to others, and only then put where it can be found.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let fresh = path.with_extension("sock.new");
    mainstay_files::remove(&fresh)?;
    let listener = through_folder(&fresh, |path| UnixListener::bind(path))?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    mainstay_files::remove(path)?;
    mainstay_files::rename_noreplace(&fresh, path)?;
    Ok(listener)
}

/// Connects to a running agent.
///
/// # Errors
/// There is none, or it does not let us in.
pub(super) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = through_folder(path, |path| std::os::unix::net::UnixStream::connect(path))?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn through_folder<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if path.as_os_str().len() <= PATH_MAX {
        return act(path);
    }
    // The descriptor is open for as long as the short path is used.
    let folder = File::open(folder)?;
    act(&Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name))
}

impl axum::serve::Listener for Listener {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut *self.listener).await;
            let peer = stream.peer_cred().map(|peer| peer.uid());
            let us = rustix::process::geteuid().as_raw();
            match peer {
                Ok(uid) if uid == us || uid == 0 => return (stream, address),
                Ok(uid) => {
                    tracing::warn!(uid, "another user was turned away from the control socket");
                }
                Err(error) => {
                    tracing::debug!(%error, "a peer of the control socket was gone at once");
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = mainstay_files::remove(&self.path) {
            tracing::debug!(%error, "the control socket stays; the next start removes it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holdings() -> Holdings {
        Holdings::new(mainstay_clock::system())
    }

    #[tokio::test]
    async fn a_socket_is_held_for_as_long_as_it_is_open() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(root.path()).unwrap();
        let holdings = holdings();
        let listener = Listener::open(&data, &holdings).unwrap();
        let error = holdings.verify_empty().unwrap_err().to_string();
        assert_eq!(error, "still held: the control socket (Listener)");
        drop(listener);
        holdings.verify_empty().unwrap();
    }

    #[tokio::test]
    async fn a_socket_behind_a_long_path_is_found_and_is_its_owner_s_alone() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a".repeat(120));
        mainstay_files::create_dir_all(&deep, 0o700).unwrap();
        let data = DataDir::at(&deep).unwrap();
        let listener = Listener::open(&data, &holdings()).unwrap();
        connect(&data.socket()).await.unwrap();
        let mode = std::fs::metadata(data.socket())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(connect(&data.socket()).await.is_err());
        assert!(!data.socket().exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_killed_agent_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(root.path()).unwrap();
        std::mem::forget(std::os::unix::net::UnixListener::bind(data.socket()).unwrap());
        let _listener = Listener::open(&data, &holdings()).unwrap();
        connect(&data.socket()).await.unwrap();
    }
}
