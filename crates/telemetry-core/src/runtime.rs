//! Metrics of what the application runs on: the process, and the asynchronous runtimes in it.
//!
//! Everything is read when metrics are collected, and at no other time.

#[cfg(target_os = "linux")]
mod process;
mod workers;

use opentelemetry::metrics::Meter;

pub(crate) use workers::{RuntimeWatch, Runtimes};

/// Makes the metrics of the process, and those of the runtimes that the answer is told of. Elsewhere than on Linux
/// there are none of the process.
pub(crate) fn observe(meter: &Meter) -> Runtimes {
    #[cfg(target_os = "linux")]
    process::observe(meter);
    Runtimes::observe(meter)
}
