//! The commands that look and act once, beside a running agent or without one.

mod backup;
mod cache;
mod carry;
mod config;
mod files;
mod history;
mod migrate;
mod paths;
mod queue;
mod redeliver;
mod repair;
mod restore;
mod route;
mod runbook;
mod standing;
mod status;
mod submit;
mod trash;
mod watch;

pub(crate) use backup::backup;
pub(crate) use cache::cache;
pub(crate) use config::config;
pub(crate) use files::{checksum, verify};
pub(crate) use history::history;
pub(crate) use migrate::migrate;
pub(crate) use paths::{doctor, paths};
pub(crate) use queue::{dead, queue};
pub(crate) use redeliver::redeliver;
pub(crate) use route::route;
pub(crate) use runbook::runbook;
pub(crate) use standing::{check, file_status};
pub(crate) use status::status;
pub(crate) use submit::{advice, submit};
pub(crate) use trash::{TRASH, trash};
pub(crate) use watch::watch;
