//! What the resilience layer promises, from the outside.

mod no_allocation;

mod prior_recovery;

mod prior_suite;
