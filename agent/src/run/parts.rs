//! The parts of a running agent: each is watched, and none ends unseen.

use std::collections::HashMap;
use std::fmt;
use tokio::task::{Id, JoinError, JoinSet};

/// What runs until it is told to stop.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    running: JoinSet<()>,
    names: HashMap<Id, String>,
}

/// A part that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Which one.
    pub(crate) name: String,
    /// The words of its panic, if it died.
    pub(crate) panic: Option<String>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(words) => write!(f, "{} died: {words}", self.name),
            None => write!(f, "{} ended by itself", self.name),
        }
    }
}

impl Parts {
    /// Starts a part.
    pub(crate) fn start(
        &mut self,
        name: impl Into<String>,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.running.spawn(part);
        self.names.insert(handle.id(), name.into());
    }

    /// Waits for the next part to end; none when all have. Cancel safe.
    pub(crate) async fn next_end(&mut self) -> Option<Ended> {
        let (id, panic) = match self.running.join_next_with_id().await? {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(words_of(error))),
        };
        let name = self
            .names
            .remove(&id)
            .unwrap_or_else(|| "a part".to_owned());
        Some(Ended { name, panic })
    }

    /// Waits until all have ended; those that died are told of, and make it answer false.
    pub(crate) async fn all_end(&mut self) -> bool {
        let mut well = true;
        while let Some(ended) = self.next_end().await {
            if ended.panic.is_some() {
                tracing::error!("{ended}");
                well = false;
            }
        }
        well
    }

    /// The names of those that still run.
    pub(crate) fn still_running(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.names.values().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

fn words_of(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(words) => match words.downcast::<String>() {
            Ok(text) => *text,
            Err(words) => words.downcast_ref::<&str>().map_or_else(
                || "a panic without words".to_owned(),
                |text| (*text).to_owned(),
            ),
        },
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_named_with_its_words() {
        let mut parts = Parts::default();
        parts.start("the pickup of `a`", async { panic!("no such {}", "thing") });
        let ended = parts.next_end().await.unwrap();
        assert_eq!(ended.to_string(), "the pickup of `a` died: no such thing");
        assert!(parts.next_end().await.is_none());
    }

    #[tokio::test]
    async fn a_part_that_ends_unasked_is_seen_too() {
        let mut parts = Parts::default();
        parts.start("the worker", async {});
        parts.start("the other", std::future::pending());
        assert_eq!(
            parts.next_end().await.unwrap().to_string(),
            "the worker ended by itself"
        );
        assert_eq!(parts.still_running(), ["the other"]);
    }
}
