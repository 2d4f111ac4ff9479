//! `doctor` of all services at once.

use std::io::{self, Write};
use std::process::ExitCode;

use service_kit::process::DoctorOptions;
use telemetry_core::doctor::Report;

use crate::parts::Part;

/// Examines these services, or all, in the environment of this process, and prints what was found. The exit code is the
/// gravest of theirs.
pub fn run(services: &[Part], options: DoctorOptions) -> ExitCode {
    let all = Part::ALL.into_iter().filter(|part| part.is_service());
    let chosen: Vec<Part> = if services.is_empty() { all.collect() } else { services.to_vec() };
    let reports: Vec<Report> = chosen.into_iter().filter_map(|part| part.examine(options)).collect();
    // The exit code tells the verdict also where the text finds no reader.
    let _ = write(&reports, options.json, &mut io::stdout().lock());
    ExitCode::from(reports.iter().map(|report| report.exit_code).max().unwrap_or_default())
}

fn write(reports: &[Report], json: bool, output: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *output, reports)?;
        writeln!(output)?;
    } else {
        for (before, report) in reports.iter().enumerate() {
            let line = if before > 0 { "\n" } else { "" };
            write!(output, "{line}{report}")?;
        }
    }
    output.flush()
}
