//! The service through its real socket, with the real user, inventory and payment services and a real
//! gateway behind it, on SQLite, or on PostgreSQL where `TEST_POSTGRES_URL` is set.

mod cancel;
mod deadlines;
mod events;
mod failures;
mod harness;
mod history;
mod idempotency;
mod migrations;
mod orders;
mod recovery;
mod status;
