//! The process edge: command line, start, signals, shutting down, exit code.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done, and nothing was lost |
//! | 1 | it could not start, or could not go on; `doctor`: something does not work |
//! | 2 | the configuration or the command line is wrong; standard error names every mistake |
//! | 3 | it stopped when asked, but requests, background tasks or telemetry were cut off |

mod configuration;
mod doctor;
pub mod healthcheck;
mod serve;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use telemetry_core::config::Env;
use telemetry_core::doctor::Report;

use crate::Service;
use crate::config::ServerConfig;
use crate::db::DatabaseConfig;

const FAILED: u8 = 1;
const MISCONFIGURED: u8 = 2;
const CUT_OFF: u8 = 3;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve requests until SIGTERM or SIGINT (the default)
    Serve,
    /// Bring the database's tables up to date, and exit
    Migrate,
    /// Ask the service that runs on this host whether it is ready; exit code 0 or 1
    Healthcheck,
    /// Tell the configuration, what is wrong with it, and what the service reaches; exit code 0, or 1 where
    /// something does not work, or 2 where the configuration is wrong
    Doctor(DoctorOptions),
}

/// How `doctor` looks and tells.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct DoctorOptions {
    /// Print JSON, for scripts
    #[arg(long)]
    pub json: bool,
    /// Send nothing to anyone: only resolve names and open connections
    #[arg(long)]
    pub no_probe: bool,
}

/// Runs the service as this process's arguments say.
pub fn run<S: Service>() -> ExitCode {
    run_from::<S>(std::env::args_os().skip(1))
}

/// Runs the service as `arguments` say; the program's own name is not among them. For a binary that
/// has several services in it.
pub fn run_from<S: Service>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse::<S>(arguments) {
        Ok(Cli { command: None | Some(Command::Serve) }) => serve::serve::<S>(),
        Ok(Cli { command: Some(Command::Migrate) }) => migrate::<S>(),
        Ok(Cli { command: Some(Command::Healthcheck) }) => check_health::<S>(),
        Ok(Cli { command: Some(Command::Doctor(options)) }) => examine::<S>(options).print(options.json),
        Err(error) => {
            // Standard output or error being closed is no reason to fail at saying so.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(MISCONFIGURED))
        }
    }
}

/// What `doctor` tells, for a binary that has several services in it. Nothing is printed; `options.json` is the caller's.
pub fn examine<S: Service>(options: DoctorOptions) -> Report {
    doctor::examine::<S>(Env::process(), !options.no_probe)
}

fn parse<S: Service>(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let arguments = std::iter::once(OsString::from(S::NAME)).chain(arguments);
    let command = Cli::command().name(S::NAME).bin_name(S::NAME).version(S::VERSION);
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn migrate<S: Service>() -> ExitCode {
    let mut env = Env::process();
    let database = DatabaseConfig::read(&mut env, S::NAME);
    if let Err(error) = env.finish() {
        return misconfigured::<S>(&error);
    }
    match actix_web::rt::System::new().block_on(database.migrate(S::MIGRATIONS)) {
        Ok(applied) if applied.is_empty() => {
            println!("{:?} is up to date", database.url);
            ExitCode::SUCCESS
        }
        Ok(applied) => {
            println!("{:?}: ran {}", database.url, applied.join(", "));
            ExitCode::SUCCESS
        }
        Err(error) => failed::<S>(&error),
    }
}

fn check_health<S: Service>() -> ExitCode {
    let mut env = Env::process();
    let server = ServerConfig::read(&mut env, S::PORT);
    if let Err(error) = env.finish() {
        return misconfigured::<S>(&error);
    }
    match healthcheck::ask(server.address(), "/ready") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed::<S>(&error),
    }
}

fn misconfigured<S: Service>(error: &telemetry_core::config::ConfigError) -> ExitCode {
    eprintln!("{}: {error}", S::NAME);
    ExitCode::from(MISCONFIGURED)
}

fn failed<S: Service>(error: &anyhow::Error) -> ExitCode {
    eprintln!("{}: {error:#}", S::NAME);
    ExitCode::from(FAILED)
}
