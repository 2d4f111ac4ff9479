//! What was found: the noun everything here answers with.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::words::one_line;
use crate::config::Setting;

/// How one thing stands. The order is that of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It works.
    Ok,
    /// Worth knowing; nothing is wrong with it.
    Note,
    /// It was not looked at, because what comes before it failed or because nobody asked for it.
    Skipped,
    /// It works, and may well not be what was meant.
    Warning,
    /// It does not work.
    Failed,
    /// The configuration is wrong: the process would not start.
    Mistake,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How it stands.
    pub outcome: Outcome,
    /// A stable name for scripts, such as `grpc_port`, where there is something to do; docs/doctor.md lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What was looked at: a variable, a stage such as `connect`, a check such as `database`.
    pub subject: String,
    /// What was seen. One line, without secrets.
    pub detail: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    /// It works.
    pub fn ok(subject: impl Into<String>, detail: impl AsRef<str>) -> Self {
        Self::new(Outcome::Ok, None, subject, detail)
    }

    /// Worth knowing.
    pub fn note(subject: impl Into<String>, detail: impl AsRef<str>) -> Self {
        Self::new(Outcome::Note, None, subject, detail)
    }

    /// Not looked at, and why.
    pub fn skipped(subject: impl Into<String>, detail: impl AsRef<str>) -> Self {
        Self::new(Outcome::Skipped, None, subject, detail)
    }

    /// It works, and may well not be what was meant.
    pub fn warning(code: &'static str, subject: impl Into<String>, detail: impl AsRef<str>) -> Self {
        Self::new(Outcome::Warning, Some(code), subject, detail)
    }

    /// It does not work.
    pub fn failed(code: &'static str, subject: impl Into<String>, detail: impl AsRef<str>) -> Self {
        Self::new(Outcome::Failed, Some(code), subject, detail)
    }

    /// The configuration is wrong.
    pub fn mistake(subject: impl Into<String>, detail: impl AsRef<str>) -> Self {
        Self::new(Outcome::Mistake, Some("wrong_value"), subject, detail)
    }

    /// Says what would be right.
    #[must_use]
    pub fn advise(mut self, advice: impl AsRef<str>) -> Self {
        self.advice = Some(one_line(advice.as_ref()));
        self
    }

    fn new(
        outcome: Outcome,
        code: Option<&'static str>,
        subject: impl Into<String>,
        detail: impl AsRef<str>,
    ) -> Self {
        Self { outcome, code, subject: subject.into(), detail: one_line(detail.as_ref()), advice: None }
    }
}

/// An address that telemetry goes to, and how far it was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reach {
    /// Scheme, host and port.
    pub endpoint: String,
    /// `http/protobuf`, `http/json` or `grpc`.
    pub protocol: String,
    /// The signals that go there.
    pub signals: Vec<String>,
    /// One stage each: `resolve`, `connect`, `tls`, `exchange`, then a probe of each signal.
    pub stages: Vec<Finding>,
}

/// Everything that was found. [`Display`](std::fmt::Display) tells it to people, [`Serialize`] to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The name that telemetry will have.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The exit code of [`Report::exit_code`].
    pub exit_code: u8,
    /// Every setting in force with its source; secrets are masked.
    pub settings: Vec<Setting>,
    /// What is wrong or doubtful about the configuration.
    pub configuration: Vec<Finding>,
    /// What each exporter of each signal will do.
    pub exporters: Vec<Finding>,
    /// Where OTLP goes, and whether it arrives.
    pub endpoints: Vec<Reach>,
    /// What the program itself wanted to know.
    pub checks: Vec<Finding>,
}

impl Report {
    pub(super) fn finish(mut self) -> Self {
        self.exit_code = match self.findings().map(|finding| finding.outcome).max() {
            Some(Outcome::Mistake) => MISCONFIGURED,
            Some(Outcome::Failed) => BROKEN,
            _ => 0,
        };
        self
    }

    /// All findings, in the order of the report.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.configuration
            .iter()
            .chain(&self.exporters)
            .chain(self.endpoints.iter().flat_map(|reach| &reach.stages))
            .chain(&self.checks)
    }

    /// How many findings have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings().filter(|finding| finding.outcome == outcome).count()
    }

    /// For scripts: 2 where the configuration has mistakes, else 1 where something does not work, else 0. Warnings
    /// change nothing.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }

    /// Prints the report to standard output, as text or as JSON, and gives its exit code. Nobody reading is no
    /// reason to fail.
    pub fn print(&self, json: bool) -> ExitCode {
        // The exit code tells the verdict also where the text finds no reader.
        let _ = self.write(json, &mut io::stdout().lock());
        self.exit_code()
    }

    fn write(&self, json: bool, output: &mut impl Write) -> io::Result<()> {
        if json {
            serde_json::to_writer_pretty(&mut *output, self)?;
            writeln!(output)?;
        } else {
            write!(output, "{self}")?;
        }
        output.flush()
    }
}

const BROKEN: u8 = 1;
const MISCONFIGURED: u8 = 2;
