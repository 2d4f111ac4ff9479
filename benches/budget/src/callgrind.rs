//! A subject under callgrind, and what it counted.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::load::{self, Target};

/// What is run, and how often.
pub(crate) struct Subject {
    /// Of the program `subject`, with its arguments; a `peer-` is a program of its own.
    pub(crate) mode: &'static str,
    /// None where it is no server and makes its own work.
    pub(crate) target: Option<Target>,
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) requests: u32,
}

/// Of a whole process.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
}

/// What the C library allocates with; Rust's allocator calls them.
const ALLOCATORS: [&str; 6] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

impl Subject {
    /// Runs it to its end, with a collector at this port.
    pub(crate) fn run(&self, collector: u16) -> anyhow::Result<Cost> {
        // BUDGET_KEEP names a directory where the profiles stay, to be read with callgrind_annotate.
        let work = tempfile::tempdir()?;
        let kept = std::env::var_os("BUDGET_KEEP").map(PathBuf::from);
        let output = kept.as_deref().unwrap_or(work.path()).join(format!(
            "{}.{}",
            self.mode.replace(' ', "-"),
            self.requests
        ));
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--quiet", "--fair-sched=try"])
            .arg(format!("--callgrind-out-file={}", output.display()))
            .args(command_line(self.mode)?)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs([
                ("ENVIRONMENT", "production".to_owned()),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{collector}")),
                ("RUST_LOG", "error".to_owned()),
                // Exports of metrics cost by the clock, not by the request.
                ("OTEL_METRIC_EXPORT_INTERVAL", "600000".to_owned()),
                // Theirs too, and callgrind cannot follow what reads the process's memory map.
                ("OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED", "false".to_owned()),
            ])
            .envs(self.variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if self.target.is_none() {
            command.arg(self.requests.to_string());
        }
        let mut process =
            command.spawn().context("valgrind cannot be run; it is in the package of this name")?;
        if let Some(target) = self.target {
            let mut line = String::new();
            BufReader::new(process.stdout.take().context("its output")?).read_line(&mut line)?;
            let port = line.trim().parse().context("the subject tells its port")?;
            load::send(port, target, self.requests)?;
        }
        drop(process.stdin.take());
        let status = process.wait()?;
        ensure!(status.success(), "it ended with {status}");
        read(&output)
    }
}

/// The program beside this one, and its arguments.
fn command_line(mode: &str) -> anyhow::Result<Vec<OsString>> {
    let mut words: Vec<&str> = mode.split(' ').collect();
    if !mode.starts_with("peer-") {
        words.insert(0, "subject");
    }
    let program = std::env::current_exe()?.with_file_name(words[0]);
    ensure!(program.exists(), "`{0}` is not built: cargo build --release -p {0}", words[0]);
    Ok([program.into()].into_iter().chain(words[1..].iter().map(OsString::from)).collect())
}

fn read(profile: &Path) -> anyhow::Result<Cost> {
    let file = std::fs::File::open(profile).with_context(|| profile.display().to_string())?;
    parse(BufReader::new(file))
}

/// Callgrind's format: `totals:` has the instructions; `cfn=(id) name` names who is called by the `calls=` below it, the
/// name only where the id comes first.
fn parse(profile: impl BufRead) -> anyhow::Result<Cost> {
    let mut names: HashMap<String, bool> = HashMap::new();
    let mut cost = Cost::default();
    let mut is_allocation = false;
    for line in profile.lines() {
        let line = line?;
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            let is_allocator = names
                .entry(id.to_owned())
                .or_insert_with(|| ALLOCATORS.contains(&name.split('@').next().unwrap_or("")));
            if line.starts_with('c') {
                is_allocation = *is_allocator;
            }
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if is_allocation {
                let number = calls.split(' ').next().unwrap_or_default();
                cost.allocations += number.parse::<u64>().context("a number of calls")?;
            }
        } else if let Some(total) = line.strip_prefix("totals: ") {
            cost.instructions = total.trim().parse().context("a total")?;
        }
    }
    ensure!(cost.instructions > 0, "the profile has no total");
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_and_calls_of_allocators_are_read() {
        let profile = "fn=(1) main\n16 400\ncfn=(2) malloc\ncalls=3 50\n16 400\ncfn=(3) malloc_trim\ncalls=1 1\n1 1\n\
                       fn=(2)\n4 7\nfn=(4) other\ncfn=(2)\ncalls=4 50\n1 1\ncfn=(5) realloc\ncalls=2 1\n1 1\n\
                       totals: 12345\n";
        let cost = parse(profile.as_bytes()).unwrap();
        assert_eq!(cost, Cost { instructions: 12345, allocations: 9 });
        assert!(parse("fn=(1) main\n".as_bytes()).is_err());
    }
}
