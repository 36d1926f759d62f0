//! The commands that look and act once, beside a running agent or without one.

mod carry;
mod config;
mod files;
mod queue;
mod redeliver;
mod repair;
mod status;
mod submit;

pub(crate) use config::{config, routes};
pub(crate) use files::files;
pub(crate) use queue::{dead, queue};
pub(crate) use redeliver::redeliver;
pub(crate) use status::status;
pub(crate) use submit::{advice, submit};
