//! The service through its real socket, on SQLite, or on PostgreSQL where `TEST_POSTGRES_URL` is set.

mod accounts;
mod attempts;
mod doctor;
mod harness;
mod input;
mod internal;
mod migrations;
mod process;
mod status;
mod telemetry;
