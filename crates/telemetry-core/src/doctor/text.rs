//! A report as people read it.

use std::fmt::{self, Display, Formatter};

use super::report::{Finding, Outcome, Reach, Report};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.service, self.version)?;
        writeln!(f, "\nSettings")?;
        let width = self.settings.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
        for setting in &self.settings {
            writeln!(f, "  {:width$}  {}  ({})", setting.name, setting.value, setting.source)?;
        }
        section(f, "Configuration", &self.configuration)?;
        section(f, "Exporters", &self.exporters)?;
        for reach in &self.endpoints {
            section(f, &heading(reach), &reach.stages)?;
        }
        section(f, "Checks", &self.checks)?;
        writeln!(f, "\n{}", self.verdict())
    }
}

impl Report {
    /// The last line.
    fn verdict(&self) -> String {
        let count = |outcome, one: &str, many: &str| match self.count(outcome) {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        };
        let counts: Vec<String> = [
            count(Outcome::Mistake, "mistake in the configuration", "mistakes in the configuration"),
            count(Outcome::Failed, "thing that does not work", "things that do not work"),
            count(Outcome::Warning, "warning", "warnings"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if counts.is_empty() { "All well.".to_owned() } else { format!("{}.", counts.join(", ")) }
    }
}

fn heading(reach: &Reach) -> String {
    format!("{} over {}: {}", reach.endpoint, reach.protocol, reach.signals.join(", "))
}

fn section(f: &mut Formatter<'_>, heading: &str, findings: &[Finding]) -> fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{heading}")?;
    // A long variable must not push everybody else's text to the right.
    let short = findings.iter().map(|finding| finding.subject.len()).filter(|length| *length <= 14);
    let width = short.max().unwrap_or_default();
    for finding in findings {
        writeln!(f, "  {:7}  {:width$}  {}", mark(finding.outcome), finding.subject, finding.detail)?;
        if let Some(advice) = &finding.advice {
            writeln!(f, "  {:7}  → {advice}", "")?;
        }
    }
    Ok(())
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Note => "note",
        Outcome::Skipped => "skipped",
        Outcome::Warning => "WARNING",
        Outcome::Failed => "FAILED",
        Outcome::Mistake => "MISTAKE",
    }
}
