//! The service through its real socket, on SQLite, or on PostgreSQL where `TEST_POSTGRES_URL` is set.

mod catalogue;
mod faults;
mod harness;
mod import;
mod input;
mod internal;
mod migrations;
mod people;
mod products;
mod races;
mod reservations;
mod status;
mod stock;
mod telemetry;
mod timeouts;
mod upload;
