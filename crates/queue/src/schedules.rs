//! The queue under schedules that are chosen; nothing of it ships.

mod tests;
