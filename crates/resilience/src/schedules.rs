//! Breaker, budget, limits and their lines under schedules that are chosen; nothing of it ships.

mod tests;
