//! What the crate promises, one module for each promise.

mod boundary;
mod names;
mod process;
mod tables;
