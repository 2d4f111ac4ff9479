//! What is run.

use clap::ValueEnum;

/// One trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides which orders fail, which are called off and when, and when what is killed. Threads and clocks decide the rest.
    pub seed: u64,
    /// How many orders are placed.
    pub orders: u32,
    /// How many a second.
    pub rate: u32,
    /// Where the services keep their rows.
    pub database: Backend,
    /// How many processes of each service; more than one needs PostgreSQL.
    pub replicas: usize,
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// A file for each service.
    Sqlite,
    /// A server of the trial's own.
    Postgres,
}
