//! The service through its real socket, with a real gateway behind it, on SQLite, or on PostgreSQL where
//! `TEST_POSTGRES_URL` is set.

mod charges;
mod faults;
mod gateway;
mod harness;
mod idempotency;
mod input;
mod internal;
mod migrations;
mod own;
mod recovery;
mod refunds;
mod scripted;
mod status;
mod telemetry;
mod unknown_outcomes;
