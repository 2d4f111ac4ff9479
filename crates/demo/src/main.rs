//! `cargo run`.

use std::process::ExitCode;

use clap::Parser;
use demo::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Process { part, arguments }) => part.run(arguments),
        None => demo::show::run(cli.options),
    }
}
