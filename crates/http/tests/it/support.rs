//! What the tests share: a client that waits little, and a clock that says what it is asked for.

use mainstay_clock::{Clock, ManualClock, Moment, SharedClock, Sleep};
use mainstay_http::{Client, ClientSettings, ErrorKind, Tls};
use mainstay_resilience::{Backoff, Jitter};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use mainstay_testkit::tls_server::Authority;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A folder with the place that a file is downloaded to.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file.bin");
        Self { folder, path }
    }

    pub(crate) fn content(&self) -> Option<Vec<u8>> {
        std::fs::read(&self.path).ok()
    }

    /// Everything in the folder, temporary files and folders of parts too.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

/// Where a request asks to go on, where it does.
pub(crate) fn resumed_at(request: &Request) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    range.strip_suffix('-')?.parse().ok()
}

/// The answer of a server that knows ranges, cut after so many bytes of body.
pub(crate) fn served(request: &Request, file: &[u8], tag: &str, cut: usize) -> Reaction {
    let length = file.len();
    let from =
        resumed_at(request).filter(|_| request.header("if-range").is_none_or(|of| of == tag));
    let (status, range, rest) = match from {
        Some(from) if from >= length => return Reaction::answer(416),
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{length}\r\n", length - 1);
            ("206 Partial", range, &file[from..])
        }
        None => ("200 OK", String::new(), file),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nETag: {tag}\r\n{range}Content-Length: {}\r\n\r\n",
        rest.len()
    );
    let sent = &rest[..cut.min(rest.len())];
    Reaction::Raw([head.as_bytes(), sent].concat())
}

/// What should happen at once; a test that hangs says what it waited for.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(20 * SECOND, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

/// Tries again after a millisecond.
pub(crate) fn settings() -> ClientSettings {
    let mut settings = ClientSettings::default();
    let millisecond = Duration::from_millis(1);
    settings.retry.backoff =
        Backoff::doubling(millisecond, 2 * millisecond).with_jitter(Jitter::None);
    settings
}

/// Settings of a client that trusts this authority and nobody else.
pub(crate) fn trusting(authority: &Authority, folder: &TempDir) -> ClientSettings {
    let mut settings = settings();
    settings.tls = Tls {
        system_authorities: false,
        authorities: vec![authority.file(folder.path(), "ca.pem")],
        ..Tls::default()
    };
    settings
}

/// A file that nobody else may read.
pub(crate) fn secret_file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    mainstay_files::replace_secret(&path, text.as_bytes()).unwrap();
    path
}

pub(crate) fn client(settings: ClientSettings) -> Client {
    Client::new(settings, mainstay_clock::system()).unwrap()
}

pub(crate) async fn server(
    script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
) -> FaultyServer {
    FaultyServer::start(script).await.unwrap()
}

/// How often the server was asked.
pub(crate) fn asked(server: &FaultyServer) -> usize {
    server.conversation().requests().len()
}

/// What became of a GET request.
pub(crate) async fn get(client: &Client, url: &str) -> Result<u16, ErrorKind> {
    match soon("the answer", client.get(url).send()).await {
        Ok(answer) => Ok(answer.status.as_u16()),
        Err(error) => Err(error.kind()),
    }
}

/// What became of so many GET requests at once.
pub(crate) async fn get_all(client: &Client, url: &str, count: u32) -> Vec<Result<u16, ErrorKind>> {
    let mut asking = JoinSet::new();
    for _ in 0..count {
        let (client, url) = (client.clone(), url.to_owned());
        asking.spawn(async move { get(&client, &url).await });
    }
    asking.join_all().await
}

/// A clock that is moved by hand, and tells which waits it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct AskedClock {
    pub(crate) manual: ManualClock,
    asked: Arc<watch::Sender<Vec<Duration>>>,
}

impl AskedClock {
    pub(crate) fn new() -> Self {
        Self {
            manual: ManualClock::new(),
            asked: Arc::default(),
        }
    }

    pub(crate) fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    /// Waits until somebody waits for so long, and lets that time pass.
    pub(crate) async fn pass(&self, wait: Duration) {
        let mut asked = self.asked.subscribe();
        let is_asked = asked.wait_for(|waits| waits.contains(&wait));
        soon("the wait", is_asked).await.unwrap();
        self.manual.advance(wait);
    }
}

impl AskedClock {
    /// How many waits of this length there were.
    pub(crate) fn asked_for(&self, wait: Duration) -> usize {
        let asked = self.asked.borrow();
        asked.iter().filter(|other| **other == wait).count()
    }

    /// Lets each wait of this length pass as soon as somebody waits for it; never ends.
    pub(crate) async fn pass_each(&self, wait: Duration) -> ! {
        self.pass_each_after(0, wait).await
    }

    /// The same, for all but the first so many.
    pub(crate) async fn pass_each_after(&self, mut passed: usize, wait: Duration) -> ! {
        let mut asked = self.asked.subscribe();
        loop {
            let waits = asked.borrow_and_update().clone();
            let so_far = waits.iter().filter(|other| **other == wait).count();
            for _ in passed..so_far {
                self.manual.advance(wait);
            }
            passed = so_far;
            asked.changed().await.unwrap();
        }
    }
}

impl Clock for AskedClock {
    fn now(&self) -> Moment {
        self.manual.now()
    }

    fn wall(&self) -> u64 {
        self.manual.wall()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let sleep = self.manual.sleep(duration);
        self.asked.send_modify(|waits| waits.push(duration));
        sleep
    }
}
