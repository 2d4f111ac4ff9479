//! `cargo xtask`: what is done to the workspace now and then.

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::new_service;

/// What is done to the workspace now and then.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes a working, tested, instrumented service: services/NAME, package NAME-service.
    NewService {
        /// Lower-case words joined by `-`, such as `gift-cards`; `-service` at its end is left out.
        name: String,
        /// The port where `PORT` is not set; by default the first that no service here has.
        #[arg(long)]
        port: Option<u16>,
    },
}

fn main() -> ExitCode {
    let Task::NewService { name, port } = Cli::parse().task;
    // The crate is two folders below the workspace.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match new_service::make(&workspace, &name, port) {
        Ok(made) => {
            println!("{made}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
