//! Handing documents over without a drop folder.

use super::Desk;
use crate::control::views::{Submission, Submitted};
use crate::exit::{Exit, Failure};
use crate::hash::hex;
use crate::run::{BODY_MAX, Template, Unread, read_body};
use mainstay_queue::{DocumentId, Error, ErrorKind, NewDocument, Priority};
use std::io::{self, Read};

impl Desk {
    /// Stores a document; it is durable when this returns. Reads `content` on a thread of its own.
    ///
    /// # Errors
    /// No such route, the content cannot be read or is too large, the queue has no room. Nothing is stored then.
    pub(crate) async fn submit(
        &self,
        submission: Submission,
        mut content: impl Read + Send + 'static,
    ) -> Result<Submitted, Failure> {
        let desk = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let read = desk.read(submission, &mut content);
            if read.is_err() {
                // Whoever sends over the socket hears why only after everything is sent.
                drop(io::copy(&mut content.take(BODY_MAX), &mut io::sink()));
            }
            read
        });
        let died = |died| Failure::new(Exit::Unexpected, "reading the content died").because(died);
        let (document, submitted) = reading.await.map_err(died)??;
        self.queue.enqueue(document).await.map_err(not_taken)?;
        Ok(submitted)
    }

    /// Everything about a submission but its last step.
    fn read(
        &self,
        submission: Submission,
        content: &mut impl Read,
    ) -> Result<(NewDocument, Submitted), Failure> {
        let template = self.route(submission.route.as_deref())?;
        if !self.queue.has_room() {
            return Err(Failure::new(Exit::NotTaken, "the queue is full")
                .help("`mainstay status` says why"));
        }
        let (body, hash) = read_body(&self.queue, content).map_err(unread)?;
        let bytes = body.len();
        let mut document = template.document(DocumentId::new(), &submission.name, body, hash);
        document.content_type = submission.content_type.unwrap_or(document.content_type);
        document.priority = submission
            .priority
            .and_then(Priority::new)
            .unwrap_or(document.priority);
        let (id, route) = (document.id.to_string(), template.route.clone());
        Ok((
            document,
            Submitted {
                id,
                route,
                bytes,
                sha256: hex(&hash),
            },
        ))
    }

    fn route(&self, name: Option<&str>) -> Result<&Template, Failure> {
        let known: Vec<&str> = self
            .routes
            .iter()
            .map(|route| route.route.as_str())
            .collect();
        let help = format!("routes: {}", known.join(", "));
        match (name, self.routes.as_slice()) {
            (Some(name), routes) => {
                routes
                    .iter()
                    .find(|route| route.route == name)
                    .ok_or_else(|| {
                        Failure::new(Exit::Usage, format!("there is no route `{name}`")).help(help)
                    })
            }
            (None, [only]) => Ok(only),
            (None, _) => Err(Failure::new(
                Exit::Usage,
                "there are several routes; say which with --route",
            )
            .help(help)),
        }
    }
}

fn unread(unread: Unread) -> Failure {
    match unread {
        Unread::Source(error) => {
            Failure::new(Exit::NoInput, "cannot read the content to its end").because(error)
        }
        Unread::TooLarge => Failure::new(Exit::NotTaken, "the document is larger than 256 MiB"),
        Unread::Queue(error) => not_taken(error),
    }
}

fn not_taken(error: Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::Full => {
            "make room on the disk of the data folder, or let it deliver; then submit this one and those after it again"
        }
        ErrorKind::NotDurable => {
            "look after the disk; then submit it again: `mainstay status` says how the queue is"
        }
        _ => "`mainstay status` says how the queue is",
    };
    Failure::new(Exit::NotTaken, "the queue did not take the document")
        .because(error)
        .help(help)
}
