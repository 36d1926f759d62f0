//! What is wrong is told within half a minute of its beginning: by `status` and by `/health`, with state, since when, and the runbook.

use crate::support::{Stage, say};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

/// So soon a person hears of what is wrong.
const TOLD: Duration = Duration::from_secs(30);

/// When something began to be wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    at: Instant,
    wall: SystemTime,
}

impl Begun {
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Waits until it is told in this way, no longer than it may take.
    pub(crate) fn told(self, what: &str, mut look: impl FnMut() -> Option<Value>) -> Value {
        let told = loop {
            if let Some(told) = look() {
                break told;
            }
            assert!(
                self.at.elapsed() < TOLD,
                "{what} is not told within {TOLD:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        };
        assert!(told["runbook"].is_string(), "{told}");
        assert!(!told["message"].as_str().unwrap().is_empty(), "{told}");
        let since: jiff::Timestamp = told["since"].as_str().unwrap().parse().unwrap();
        // A clock that is looked at now and then is behind by less.
        let earliest = jiff::Timestamp::try_from(self.wall - Duration::from_secs(1)).unwrap();
        assert!(earliest <= since, "{told}");
        told
    }

    /// Waits until `status` and `/health` both tell of this check, in time, and with the same runbook.
    pub(crate) fn told_by_all(self, stage: &Stage, port: u16, check: &str) -> Value {
        let by_status = self.told(check, || in_status(stage, check));
        let by_health = self.told(check, || in_health(port, check));
        assert_eq!(by_status["runbook"], by_health["runbook"], "{by_health}");
        by_status
    }
}

/// What `status` says of a check; nothing where that is well, or nobody answers.
pub(crate) fn in_status(stage: &Stage, check: &str) -> Option<Value> {
    let said = say(stage.command(&["status"]).arg("--json"));
    let status: Value = serde_json::from_str(&said.out).ok()?;
    let mut all = status["unwell"].as_array()?.iter();
    let told = all.find(|unwell| unwell["check"] == check)?;
    is_unwell(told).then(|| told.clone())
}

/// What the health that is told at this port says of a check, as the status would; nothing where that is well, or nobody answers.
pub(crate) fn in_health(port: u16, check: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(TOLD)).ok()?;
    let request = "GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let health: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    as_in_status(&health, check)
}

/// What `mainstay health` says of a check, as the status would: it has all of them look at once.
pub(crate) fn at_once(stage: &Stage, check: &str) -> Option<Value> {
    let said = say(stage.command(&["health"]).arg("--json"));
    as_in_status(&serde_json::from_str(&said.out).ok()?, check)
}

fn as_in_status(health: &Value, check: &str) -> Option<Value> {
    let told = &health["checks"][check];
    let since = jiff::Timestamp::from_millisecond(told["since_ms"].as_i64()?);
    is_unwell(told).then(|| {
        json!({
            "check": check,
            "state": told["state"],
            "since": since.unwrap().to_string(),
            "message": told["last"]["message"],
            "runbook": told["runbook"],
        })
    })
}

fn is_unwell(told: &Value) -> bool {
    told["state"] == "degraded" || told["state"] == "unhealthy"
}
