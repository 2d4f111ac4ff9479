//! `cargo run`.

use std::process::ExitCode;

use clap::Parser;
use demo::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Process { part, arguments }) => part.run(arguments),
        Some(Command::Doctor { services, options }) => demo::doctor::run(&services, options),
        None => demo::show::run(cli.options),
    }
}
