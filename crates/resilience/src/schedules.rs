//! Breaker and budget under schedules that are chosen; nothing of it ships.

mod tests;
