//! A process that is measured.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::variants::Variant;

/// More than any of them needs to send what it still has.
const END_DEADLINE: Duration = Duration::from_secs(90);

/// A running variant. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts it on the first core (where it has two workers, on both), with a collector at this port and these further
    /// variables.
    pub(crate) fn start(
        variant: &Variant,
        collector: u16,
        further: &[(String, String)],
        turns: Option<u32>,
    ) -> anyhow::Result<Self> {
        let mut words = variant.command.split(' ');
        let program = words.next().context("a command")?;
        let mut command = if variant.is_python() {
            let mut command = Command::new(python()?.join(program));
            command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("peer-fastapi"));
            command
        } else {
            Command::new(std::env::current_exe()?.with_file_name(program))
        };
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(words)
            .args(turns.map(|turns| turns.to_string()))
            .env_clear()
            .envs([
                // What opentelemetry-instrument starts is to be the Python beside it.
                ("PATH", if variant.is_python() { format!("{}:{path}", python()?.display()) } else { path }),
                ("ENVIRONMENT", "production".to_owned()),
                ("OTEL_SERVICE_NAME", "subject".to_owned()),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{collector}")),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
                ("RUST_LOG", "error".to_owned()),
            ])
            .envs(variant.variables.iter().copied())
            .envs(further.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(if turns.is_some() { Stdio::null() } else { Stdio::piped() });
        // It inherits the cores of the thread that starts it.
        on_cores(0..variant.cores())?;
        let child = command.spawn();
        on_cores(1..2)?;
        Ok(Self { child: child.with_context(|| format!("starting {program}"))? })
    }

    /// Where it listens, which is the first that it prints.
    pub(crate) fn port(&mut self) -> anyhow::Result<u16> {
        let mut line = String::new();
        let mut output = BufReader::new(self.child.stdout.take().context("its output")?);
        output.read_line(&mut line)?;
        // What else it prints goes nowhere, and holds it up nowhere.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        line.trim().parse().with_context(|| format!("a port, and not {line:?}"))
    }

    /// In user space and in the kernel, of all threads that live, exact to the microsecond or so.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let mut sum = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let Ok(line) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += line.split(' ').next().unwrap_or_default().parse::<u64>().context("nanoseconds")?;
        }
        Ok(Duration::from_nanos(sum))
    }

    /// Resident memory now and at the most, MiB.
    pub(crate) fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
            Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        Ok((mib("VmRSS:")?, mib("VmHWM:")?))
    }

    /// Ends it by the end of its standard input, and waits until it has sent what it had.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + END_DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This thread, and what it starts from here on, leaves the first core to what is measured.
pub(crate) fn this_on_second_core() -> anyhow::Result<()> {
    on_cores(1..2)
}

fn on_cores(cores: Range<usize>) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    cores.for_each(|core| set.set(core));
    sched_setaffinity(None, &set).context("two cores are needed")
}

/// The CPU time of the processes that have ended, in steps of 10 ms.
pub(crate) fn cpu_time_of_ended() -> anyhow::Result<Duration> {
    let line = std::fs::read_to_string("/proc/self/stat")?;
    // The name, in parentheses, may have spaces; cutime and cstime are the 16th and 17th field.
    let (_, fields) = line.rsplit_once(')').context("a name")?;
    let mut fields = fields.split_whitespace().skip(13);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok()).context("a number of ticks");
    Ok(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// The folder with Python's programs: an environment of its own, beside the programs of this workspace.
fn python() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("peer-fastapi").join("bin"))
}

/// Makes that environment, once.
pub(crate) fn make_python(benches: &Path) -> anyhow::Result<()> {
    let bin = python()?;
    let requirements = benches.join("peer-fastapi/requirements.txt");
    let folder = bin.parent().context("its folder")?;
    let run = |command: &mut Command| -> anyhow::Result<()> {
        let status = command.status().with_context(|| format!("{command:?}"))?;
        ensure!(status.success(), "{command:?}: {status}; --without-python leaves it out");
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(bin.join("pip")).args(["install", "--quiet", "-r"]).arg(requirements))
}
