//! The process ("Process" of the resource conventions), as far as it says nothing of people.
//!
//! Never told: the command line, which may hold secrets; the executable's path, the working folder and the owner, which
//! on a developer's machine name a person.

use chrono::{DateTime, SecondsFormat};
use opentelemetry::Value;
use opentelemetry_semantic_conventions::resource as name;

use super::Found;
use super::files::Files;

/// How many of the clock's ticks a second has for programs, on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: i64 = 100;

/// What built this crate, as `rustc --version` tells it.
const COMPILER: Option<&str> = option_env!("TELEMETRY_CORE_RUSTC");

pub(super) fn detect(files: &Files) -> Found {
    let mut found: Found = vec![
        (name::PROCESS_PID, i64::from(std::process::id()).into()),
        // A Rust program has none of its own; the conventions name the compiler.
        (name::PROCESS_RUNTIME_NAME, "rustc".into()),
    ];
    if let Some(rustc) = COMPILER {
        found.extend(rustc.split(' ').nth(1).map(|version| (name::PROCESS_RUNTIME_VERSION, version.into())));
        found.push((name::PROCESS_RUNTIME_DESCRIPTION, rustc.into()));
    }
    #[cfg(unix)]
    found.push((name::PROCESS_PARENT_PID, i64::from(std::os::unix::process::parent_id()).into()));
    let executable = std::env::current_exe().ok();
    let executable = executable.as_deref().and_then(|path| path.file_name());
    let executable = executable.map(|file| file.to_string_lossy().into_owned());
    found.extend(executable.map(|file| (name::PROCESS_EXECUTABLE_NAME, Value::from(file))));
    found.extend(creation_time(files).map(|time| (name::PROCESS_CREATION_TIME, Value::from(time))));
    found
}

/// When the process began, from proc(5): ticks since the machine's start, whose second is known.
fn creation_time(files: &Files) -> Option<String> {
    let stat = files.text("/proc/self/stat")?;
    // The second field is a name in parentheses, and may hold any character.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: i64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let machine = files.text("/proc/stat")?;
    let boot: i64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let milliseconds = boot.checked_mul(1000)?.checked_add(ticks.checked_mul(1000 / TICKS_PER_SECOND)?)?;
    let time = DateTime::from_timestamp_millis(milliseconds)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::files::tests::{Machine, text};

    #[test]
    fn the_process_tells_its_ids_and_its_executables_name() {
        let found = detect(&Files::below("/"));
        let value = |key: &str| found.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        assert_eq!(value("process.pid"), Some(Value::I64(i64::from(std::process::id()))));
        #[cfg(unix)]
        assert_eq!(
            value("process.parent_pid"),
            Some(Value::I64(i64::from(std::os::unix::process::parent_id())))
        );
        let executable = text(&found, "process.executable.name").expect("the executable has a name");
        assert!(executable.starts_with("telemetry_core"), "{executable}");
    }

    #[test]
    fn the_compiler_is_told_as_the_runtime() {
        let found = detect(&Files::below("/"));
        let version = text(&found, "process.runtime.version").expect("rustc tells its version");
        let description = text(&found, "process.runtime.description").expect("rustc tells itself");
        assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");
        assert!(description.starts_with(&format!("rustc {version}")), "{description}");
    }

    #[test]
    fn the_time_it_began_comes_from_ticks_since_the_machines_start() {
        let stat = "7 (a ) R 1) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1 18446744073709551615";
        let files = [("/proc/self/stat", stat), ("/proc/stat", "cpu 1 2 3\nbtime 1732450000\nprocesses 9\n")];
        let found = detect(&Machine::with(&files).files());
        assert_eq!(text(&found, "process.creation.time").as_deref(), Some("2024-11-24T12:08:43.450Z"));
        for files in [&files[..1], &files[1..], &[("/proc/self/stat", "7 (a) S"), files[1]], &[]] {
            let found = detect(&Machine::with(files).files());
            assert_eq!(text(&found, "process.creation.time"), None, "{files:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_began_before_now_and_after_yesterday() {
        let found = detect(&Files::below("/"));
        let time = text(&found, "process.creation.time").expect("Linux tells it");
        let age = chrono::Utc::now() - DateTime::parse_from_rfc3339(&time).expect("ISO 8601").to_utc();
        assert!(age.num_seconds() >= -2 && age.num_days() < 1, "{time}");
    }
}
