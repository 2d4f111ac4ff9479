//! `cargo run -p chaos`.

use std::ffi::OsString;
use std::process::ExitCode;

use chaos::plan::{Backend, Plan};
use chaos::trial;
use clap::{Parser, Subcommand};
use demo::parts::Part;

/// Kills the services while customers order, and says whether anything was lost or doubled; exit code 0 or 1.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many orders
    #[arg(long, default_value_t = 2000)]
    orders: u32,
    /// How many a second
    #[arg(long, default_value_t = 25)]
    rate: u32,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Which database
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Backend,
    /// How many processes of each service; more than one needs PostgreSQL
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    replicas: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// So many customers at once for so many pieces, and nobody is killed
    SellOut {
        /// How many customers
        #[arg(long, default_value_t = 1000)]
        buyers: u32,
        /// How many pieces
        #[arg(long, default_value_t = 100)]
        pieces: u32,
        /// Which database
        #[arg(long, value_enum, default_value = "sqlite")]
        database: Backend,
    },
    /// Runs one process of the system; how the trial starts them.
    #[command(hide = true)]
    Process {
        /// Which one.
        part: Part,
        /// The process's own arguments, such as `serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Process { part, arguments }) => part.run(arguments),
        Some(Command::SellOut { buyers, pieces, database }) => {
            finish(run(async |program| trial::sell_out(program, database, buyers, pieces).await?.approve()))
        }
        None => {
            let mut passed = 0;
            for seed in cli.seed..cli.seed + cli.seeds {
                let plan = Plan {
                    seed,
                    orders: cli.orders,
                    rate: cli.rate,
                    database: cli.database,
                    replicas: cli.replicas.into(),
                };
                println!("{plan:?}");
                let result = run(async |program| trial::run(program, plan).await?.approve());
                passed += u64::from(finish(result) == ExitCode::SUCCESS);
            }
            println!("{passed} of {} seeds passed", cli.seeds);
            if passed == cli.seeds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn run(
    trial: impl AsyncFnOnce(&std::path::Path) -> anyhow::Result<trial::Report>,
) -> anyhow::Result<trial::Report> {
    let program = std::env::current_exe()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(trial(&program))
}

fn finish(result: anyhow::Result<trial::Report>) -> ExitCode {
    match result {
        Ok(report) => {
            println!("passed: {report:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
