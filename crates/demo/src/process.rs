//! One process: started, watched, stopped.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::parts::Part;

/// A start takes well under a second; a slow machine with a cold disk gets this long.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Longer than the 10 s that a service takes at most to shut down.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(20);

/// A running process of the system. Dropping it kills it.
pub struct Process {
    part: Part,
    port: u16,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `part` as a process of the binary `program`. What it prints goes to a file in `logs`.
    ///
    /// # Errors
    /// Where the file or the process cannot be made.
    pub fn start(
        program: &Path,
        part: Part,
        port: u16,
        variables: &[(String, String)],
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let log = logs.join(format!("{}.log", part.name()));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("opening {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(["process", part.name()]);
        if part.is_service() {
            command.arg("serve");
        }
        // Nothing of this shell's may change what the demo shows; what a person would set is kept.
        for (name, _) in std::env::vars_os() {
            if !KEPT.iter().any(|kept| name == *kept) {
                command.env_remove(name);
            }
        }
        let child = command
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("PORT", port.to_string())
            // Six processes share this machine: two heaps each, not one for every thread (glibc).
            .env("MALLOC_ARENA_MAX", "2")
            // The pipe closes when this process ends, however it does: see `end_with_parent`.
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C reaches this process alone, which stops the others in the right order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", part.name()))?;
        Ok(Self { part, port, child, log })
    }

    /// Which one it is.
    pub fn part(&self) -> Part {
        self.part
    }

    /// The operating system's id of it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it answers that it can work.
    ///
    /// # Errors
    /// Where it ends instead, with what it printed; or takes too long.
    pub async fn ready(&mut self, client: &reqwest::Client) -> anyhow::Result<()> {
        let url = format!("{}{}", self.url(), self.part.ready_path());
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended while it started ({status}); it printed:\n{}",
                    self.part.name(),
                    self.printed()
                );
            }
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} does not answer at {url}; it printed:\n{}", self.part.name(), self.printed());
            }
            sleep(POLL).await;
        }
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end (SIGTERM) without waiting.
    ///
    /// # Errors
    /// Where there is no such process any more.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).with_context(|| format!("stopping {}", self.part.name()))
    }

    /// Asks it to end, and waits until it has; kills it where it does not.
    ///
    /// # Errors
    /// Where it had to be killed, or ended with an exit code other than 0.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if self.ended().is_none() {
            self.terminate()?;
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        loop {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    bail!("{} ended with {status}; it printed:\n{}", self.part.name(), self.printed())
                }
                None if Instant::now() > deadline => {
                    bail!("{} did not stop in time and was killed", self.part.name())
                }
                None => sleep(POLL).await,
            }
        }
    }

    /// The end of what it printed.
    pub fn printed(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What the processes take over from whoever runs the demo.
const KEPT: [&str; 6] = ["PATH", "HOME", "RUST_LOG", "RUST_BACKTRACE", "TMPDIR", "LD_LIBRARY_PATH"];

/// Ends this process, as SIGTERM would, when the one that started it ends: standard input is a pipe
/// that then closes. So nothing is left behind even where the demo is killed.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let mut ignored = [0; 64];
        while std::io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        let _ = kill_process(rustix::process::getpid(), Signal::TERM);
    });
}

/// Returns when this process is asked to end.
pub(crate) async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}
