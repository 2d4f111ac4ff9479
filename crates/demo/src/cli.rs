//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use clap::ValueEnum;
use service_kit::process::DoctorOptions;

use crate::parts::Part;
use crate::scenarios::Scenario;

/// Starts the order system, places three orders and draws their traces; then stays and draws the trace
/// of every further order.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run the system.
    #[command(flatten)]
    pub options: Options,
}

/// What else this binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tells, of every service, the configuration in this environment, what is wrong with it, and what the service
    /// reaches; exit code 0, or 1 where something does not work, or 2 where the configuration is wrong
    Doctor {
        /// Which services [default: all of them]
        #[arg(value_parser = service)]
        services: Vec<Part>,
        /// How to look and tell.
        #[command(flatten)]
        options: DoctorOptions,
    },
    /// Runs one process of the system; how the demo starts them.
    #[command(hide = true)]
    Process {
        /// Which one.
        part: Part,
        /// The process's own arguments, such as `serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// How to run the system.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Keep databases and logs in this folder [default: a fresh temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Exit after the three orders; the exit code says whether each trace was complete
    #[arg(long, conflicts_with = "load")]
    pub once: bool,
    /// Keep ordering at this rate, orders a second
    #[arg(long, value_name = "RPS", value_parser = rate)]
    pub load: Option<f64>,
    /// Break something from the start, as the page's switches do; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "once")]
    pub scenario: Vec<Scenario>,
    /// Listen on any free ports [default: the well-known ones, where they are free]
    #[arg(long)]
    pub free_ports: bool,
    /// Use these PostgreSQL databases instead of SQLite; {service} stands for user, order, inventory
    /// and payment, as in postgres://app:secret@localhost/{service}
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

fn service(text: &str) -> Result<Part, String> {
    let services = Part::ALL.into_iter().filter(|part| part.is_service());
    Part::from_str(text, false)
        .ok()
        .filter(|part| part.is_service())
        .ok_or_else(|| format!("one of {}", services.map(Part::name).collect::<Vec<_>>().join(", ")))
}

/// More than this would measure the demo, not the services.
const MAX_RATE: f64 = 1000.0;

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate <= MAX_RATE {
        Ok(rate)
    } else {
        Err(format!("must be more than 0 and at most {MAX_RATE}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_doctor_looks_at_services_alone() {
        assert!(Cli::try_parse_from(["demo", "doctor", "order", "user", "--json"]).is_ok());
        let refusal = Cli::try_parse_from(["demo", "doctor", "viewer"]).unwrap_err().to_string();
        assert!(refusal.contains("one of user, inventory, payment, order"), "{refusal}");
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        for (text, valid) in [
            ("1", true),
            ("0.5", true),
            ("0", false),
            ("-1", false),
            ("NaN", false),
            ("1e9", false),
            ("x", false),
        ] {
            assert_eq!(rate(text).is_ok(), valid, "{text}");
        }
    }
}
