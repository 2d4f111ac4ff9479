//! `process.*` of the conventions ("Process metrics"), as far as Linux tells it of a process alone: of the network it
//! knows only what a whole container sends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use opentelemetry::metrics::Meter;
use opentelemetry::{Key, KeyValue};
use opentelemetry_semantic_conventions::{attribute, metric};
use procfs::Current as _;

/// All instruments of one collection tell the same reading.
const FRESH: Duration = Duration::from_millis(100);

/// What the kernel says of this process; none of what cannot be read.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    user_seconds: Option<f64>,
    system_seconds: Option<f64>,
    voluntary_switches: Option<u64>,
    involuntary_switches: Option<u64>,
    minor_faults: Option<u64>,
    major_faults: Option<u64>,
    resident_bytes: Option<i64>,
    virtual_bytes: Option<i64>,
    threads: Option<i64>,
    uptime_seconds: Option<f64>,
    file_descriptors: Option<i64>,
    read_bytes: Option<u64>,
    written_bytes: Option<u64>,
}

impl Reading {
    fn now() -> Self {
        let mut reading = Self::default();
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            reading.user_seconds = Some(seconds(usage.user_time()));
            reading.system_seconds = Some(seconds(usage.system_time()));
            reading.voluntary_switches = usage.voluntary_context_switches().try_into().ok();
            reading.involuntary_switches = usage.involuntary_context_switches().try_into().ok();
            reading.minor_faults = usage.minor_page_faults().try_into().ok();
            reading.major_faults = usage.major_page_faults().try_into().ok();
        }
        let Ok(process) = procfs::process::Process::myself() else { return reading };
        if let Ok(stat) = process.stat() {
            reading.resident_bytes = stat.rss.saturating_mul(procfs::page_size()).try_into().ok();
            reading.virtual_bytes = stat.vsize.try_into().ok();
            reading.threads = Some(stat.num_threads);
            // The start is in ticks since the machine's.
            let start = stat.starttime as f64 / procfs::ticks_per_second() as f64;
            reading.uptime_seconds = procfs::Uptime::current().ok().map(|now| (now.uptime - start).max(0.0));
        }
        reading.file_descriptors = process.fd_count().ok().and_then(|count| count.try_into().ok());
        if let Ok(io) = process.io() {
            reading.read_bytes = Some(io.read_bytes);
            reading.written_bytes = Some(io.write_bytes);
        }
        reading
    }
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// The last reading, for the instruments of the same collection.
#[derive(Debug, Clone, Default)]
struct Readings(Arc<Mutex<Option<(Instant, Reading)>>>);

impl Readings {
    fn get(&self) -> Reading {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, reading)) if at.elapsed() < FRESH => *reading,
            _ => {
                let reading = Reading::now();
                *last = Some((Instant::now(), reading));
                reading
            }
        }
    }
}

/// Makes the instruments.
pub(super) fn observe(meter: &Meter) {
    let meter = Instruments { meter, readings: Readings::default() };
    meter.seconds(
        metric::PROCESS_CPU_TIME,
        "Total CPU seconds broken down by different CPU modes.",
        (attribute::CPU_MODE, ["user", "system"]),
        |now| [now.user_seconds, now.system_seconds],
    );
    meter.level(metric::PROCESS_MEMORY_USAGE, "By", "The amount of physical memory in use.", |now| {
        now.resident_bytes
    });
    meter.level(metric::PROCESS_MEMORY_VIRTUAL, "By", "The amount of committed virtual memory.", |now| {
        now.virtual_bytes
    });
    meter.count(
        metric::PROCESS_DISK_IO,
        "By",
        "Disk bytes transferred.",
        (attribute::DISK_IO_DIRECTION, ["read", "write"]),
        |now| [now.read_bytes, now.written_bytes],
    );
    meter.level(metric::PROCESS_THREAD_COUNT, "{thread}", "Process threads count.", |now| now.threads);
    meter.level(
        metric::PROCESS_UNIX_FILE_DESCRIPTOR_COUNT,
        "{file_descriptor}",
        "Number of UNIX file descriptors in use by the process.",
        |now| now.file_descriptors,
    );
    meter.count(
        metric::PROCESS_CONTEXT_SWITCHES,
        "{context_switch}",
        "Number of times the process has been context switched.",
        (attribute::PROCESS_CONTEXT_SWITCH_TYPE, ["voluntary", "involuntary"]),
        |now| [now.voluntary_switches, now.involuntary_switches],
    );
    meter.count(
        metric::PROCESS_PAGING_FAULTS,
        "{fault}",
        "Number of page faults the process has made.",
        (attribute::SYSTEM_PAGING_FAULT_TYPE, ["minor", "major"]),
        |now| [now.minor_faults, now.major_faults],
    );
    meter.uptime();
}

/// Makes an instrument of each kind over the readings.
struct Instruments<'a> {
    meter: &'a Meter,
    readings: Readings,
}

impl Instruments<'_> {
    fn seconds(
        &self,
        name: &'static str,
        description: &'static str,
        kinds: (&'static str, [&'static str; 2]),
        read: fn(&Reading) -> [Option<f64>; 2],
    ) {
        let (readings, kinds) = (self.readings.clone(), attributes(kinds));
        let counter = self.meter.f64_observable_counter(name).with_unit("s").with_description(description);
        let counter = counter.with_callback(move |observer| {
            for (value, kind) in read(&readings.get()).into_iter().zip(&kinds) {
                value.into_iter().for_each(|value| observer.observe(value, kind));
            }
        });
        counter.build();
    }

    fn count(
        &self,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        kinds: (&'static str, [&'static str; 2]),
        read: fn(&Reading) -> [Option<u64>; 2],
    ) {
        let (readings, kinds) = (self.readings.clone(), attributes(kinds));
        let counter = self.meter.u64_observable_counter(name).with_unit(unit).with_description(description);
        let counter = counter.with_callback(move |observer| {
            for (value, kind) in read(&readings.get()).into_iter().zip(&kinds) {
                value.into_iter().for_each(|value| observer.observe(value, kind));
            }
        });
        counter.build();
    }

    fn level(
        &self,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        read: fn(&Reading) -> Option<i64>,
    ) {
        let readings = self.readings.clone();
        let level =
            self.meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(description);
        let level = level.with_callback(move |observer| {
            read(&readings.get()).into_iter().for_each(|value| observer.observe(value, &[]));
        });
        level.build();
    }

    fn uptime(&self) {
        let readings = self.readings.clone();
        let gauge = self.meter.f64_observable_gauge(metric::PROCESS_UPTIME).with_unit("s");
        let gauge = gauge.with_description("The time the process has been running.");
        let gauge = gauge.with_callback(move |observer| {
            readings.get().uptime_seconds.into_iter().for_each(|value| observer.observe(value, &[]));
        });
        gauge.build();
    }
}

fn attributes((key, values): (&'static str, [&'static str; 2])) -> [[KeyValue; 1]; 2] {
    values.map(|value| [KeyValue::new(Key::from_static_str(key), value)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Series, TestTelemetry};

    /// The sum of a metric's series.
    fn total(series: &[Series], name: &str) -> f64 {
        series.iter().filter(|series| series.name == name).map(|series| series.value).sum()
    }

    #[test]
    fn every_metric_is_there_and_follows_what_the_process_does() {
        let telemetry = TestTelemetry::new();
        observe(telemetry.meter());
        let before = telemetry.metrics();
        let mut told: Vec<String> = before
            .iter()
            .map(|series| {
                let kinds = series.attributes.iter().map(|(key, value)| format!(" {key}={value}"));
                format!("{} {}{}", series.name, series.unit, kinds.collect::<String>())
            })
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "process.context_switches {context_switch} process.context_switch.type=involuntary",
                "process.context_switches {context_switch} process.context_switch.type=voluntary",
                "process.cpu.time s cpu.mode=system",
                "process.cpu.time s cpu.mode=user",
                "process.disk.io By disk.io.direction=read",
                "process.disk.io By disk.io.direction=write",
                "process.memory.usage By",
                "process.memory.virtual By",
                "process.paging.faults {fault} system.paging.fault.type=major",
                "process.paging.faults {fault} system.paging.fault.type=minor",
                "process.thread.count {thread}",
                "process.unix.file_descriptor.count {file_descriptor}",
                "process.uptime s",
            ]
        );
        for name in ["process.thread.count", "process.unix.file_descriptor.count"] {
            assert!(total(&before, name) > 0.0, "{name}: {before:?}");
        }

        let memory = vec![1_u8; 64 << 20];
        let files: Vec<_> = (0..200).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
        // Until the reading is a new one and has used the CPU.
        let mut after = telemetry.metrics();
        while total(&after, "process.cpu.time") <= total(&before, "process.cpu.time") {
            after = telemetry.metrics();
        }
        let growth = |name: &str| total(&after, name) - total(&before, name);
        assert!(growth("process.memory.usage") > f64::from(32 << 20), "{before:?} {after:?}");
        assert!(growth("process.memory.virtual") > f64::from(32 << 20), "{before:?} {after:?}");
        assert!(growth("process.unix.file_descriptor.count") > 100.0, "{before:?} {after:?}");
        assert!(growth("process.paging.faults") > 0.0, "{before:?} {after:?}");
        assert!(growth("process.uptime") > 0.0, "{before:?} {after:?}");
        drop((memory, files));
    }
}
