//! What the crate promises, one module for each promise.

mod names;
mod process;
mod tables;
