//! The program as an operator meets it: real processes, a real folder, a real receiver on loopback.

#![expect(
    clippy::disallowed_methods,
    reason = "tests lay files out by hand and wait for other processes"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agent_is_alone;
mod alerts;
mod alerts_kept;
mod budgets;
mod by_hand;
mod caching;
mod carrying;
mod certificates;
mod configuration;
mod demonstration;
mod end_to_end;
mod files_by_hand;
mod first_steps;
mod hanging_disk;
mod health;
mod hub;
mod hub_every_byte;
mod hub_garbage;
mod hub_killed;
mod hubs;
mod jobs;
mod killed;
mod lives;
mod looking_up;
mod measuring;
mod moving_by_hand;
mod network;
mod network_changes;
mod places_by_hand;
mod protecting;
mod queue_dies;
mod reaching;
mod readiness;
mod receiver;
mod redelivering;
mod runbooks;
mod runbooks_followed;
mod runbooks_machine;
mod runbooks_walked;
mod selftest;
mod service_manager;
mod standing_by_hand;
mod status_shape;
mod stopping;
mod submitting;
mod support;
mod tasks;
mod told;
mod trying_out;
mod unwell;
mod upkeep;
mod versions_by_hand;
