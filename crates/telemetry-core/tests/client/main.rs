//! The reqwest middleware, against real peers: one that is instrumented, and ones that misbehave.

#[path = "../support/mod.rs"]
mod support;

mod background;
mod harness;
mod metrics;
mod settings;
mod spans;
