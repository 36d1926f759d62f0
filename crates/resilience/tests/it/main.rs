//! What the resilience layer promises, from the outside.

mod prior_recovery;
