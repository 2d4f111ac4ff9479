//! What processes have used.

use std::time::Duration;

use anyhow::Context;

/// Of some processes.
pub(crate) struct Usage {
    /// CPU time of each, in user space and in the kernel, in steps of 10 ms.
    pub(crate) cpu: Vec<Duration>,
    /// Resident memory of each, MiB.
    pub(crate) resident: Vec<f64>,
}

impl Usage {
    pub(crate) fn of(processes: &[u32]) -> anyhow::Result<Self> {
        let mut usage = Self { cpu: Vec::new(), resident: Vec::new() };
        for id in processes {
            let ticks: u64 = fields(*id)?.get(10..12).context("its times")?.iter().sum();
            usage.cpu.push(Duration::from_millis(ticks * 10));
            let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
            let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
            usage.resident.push(kilobytes.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0);
        }
        Ok(usage)
    }
}

/// Of `/proc/ID/stat`, behind the state: the parent is the first, utime and stime the 11th and 12th. What is no
/// number is 0.
fn fields(id: u32) -> anyhow::Result<Vec<u64>> {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = line.rsplit_once(") ").context("a name")?;
    Ok(fields.split(' ').skip(1).map(|field| field.trim().parse().unwrap_or(0)).collect())
}

/// The processes that this one has started.
pub(crate) fn children(of: u32) -> anyhow::Result<Vec<u32>> {
    Ok(all()?.filter(|id| fields(*id).is_ok_and(|fields| fields.first() == Some(&of.into()))).collect())
}

/// The process with this on its command line that was there first.
pub(crate) fn find(text: &str) -> Option<u32> {
    let mut found: Vec<u32> = all()
        .ok()?
        .filter(|id| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).split('\0').any(|argument| argument == text)
        })
        .collect();
    found.sort_unstable();
    found.first().copied()
}

fn all() -> anyhow::Result<impl Iterator<Item = u32>> {
    Ok(std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}
