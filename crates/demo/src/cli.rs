//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::parts::Part;

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
    /// Use these PostgreSQL databases instead of SQLite; {service} stands for user, order, inventory
    /// and payment, as in postgres://app:secret@localhost/{service}
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
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
