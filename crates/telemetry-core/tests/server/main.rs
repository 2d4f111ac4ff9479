//! The server middleware, seen from outside: a real actix app behind a real socket.

#[path = "../support/mod.rs"]
mod support;

mod endings;
mod excluded;
mod failures;
mod harness;
mod metrics;
mod settings;
mod spans;
mod websocket;
