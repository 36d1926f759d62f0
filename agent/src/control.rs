//! The control socket: how the command line speaks with a running agent.
//!
//! HTTP/1.1 with JSON over a Unix socket in the data folder. The folder is open to its owner alone (0700), and so is the socket
//! (0600); whoever connects has to be that user or root, which is checked for each connection. Without a running agent the
//! same verbs work on the queue itself, which is then locked for as long as they take.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | [`Status`](crate::status::Status) |
//! | `GET /documents?state=&lane=&text=&limit=` | a list of [`views::Document`] |
//! | `GET /documents/{id}`, `GET /documents/{id}/body` | one of them, its content |
//! | `POST /documents` with the content, and its facts in headers | [`views::Submitted`] |
//! | `POST /move` with [`views::Move`] | [`views::Moved`] |
//! | `POST /redeliver` with [`views::Redeliver`] | [`views::Redelivered`] |
//! | `GET /archive?state=&lane=` | a tar archive, and [`views::ExportEnd`] in a trailer |
//! | `POST /archive` with such an archive | what was new in it |
//! | `GET /protections` | a list of [`views::Protection`] |
//! | `POST /protections` with [`views::Shield`] | how that one stands then |
//! | `POST /verify` | [`views::Verified`] |
//!
//! A refusal is answered with `{"exit", "error", "help"}`: what the command line prints, and the code it ends with.

mod carried;
mod client;
mod desk;
mod reach;
mod server;
mod socket;
pub(crate) mod views;

pub(crate) use carried::unwritten;
pub(crate) use client::{Client, answers};
pub(crate) use reach::{Input, Purpose, Reach, verify_at_rest};
pub(crate) use server::serve;
pub(crate) use socket::Listener;
