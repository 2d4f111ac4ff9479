//! Setting up in code. A process has one telemetry, so what sets one up is a process of its own
//! (`harness::own_process`).

mod disabled;
mod harness;
mod parts;
mod rules;
mod settings;
#[expect(dead_code, reason = "what waits is of others")]
#[path = "../support/mod.rs"]
mod support;
