//! `tokio.*`: what tokio tells of its runtimes without its unstable features, under the names that OpenTelemetry's
//! contributed instrumentation of tokio has for them.
//!
//! An actix-web server is many runtimes, one of one thread for each worker, so these are sums over all runtimes
//! that are known: the one in which [`init`](crate::init) was called, and those in which the server middleware
//! runs. Busy time by the number of workers is how much of their time they work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::metrics::Meter;
use tokio::runtime::{Handle, Id, RuntimeMetrics};

/// The runtimes that are told of. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runtimes(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    running: Vec<Runtime>,
    /// What those brought to an end that run no more: sums never fall.
    past: Totals,
}

#[derive(Debug)]
struct Runtime {
    id: Id,
    metrics: RuntimeMetrics,
    watches: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    parks: u64,
    busy_milliseconds: u64,
}

impl Totals {
    fn plus(self, metrics: &RuntimeMetrics) -> Self {
        (0..metrics.num_workers()).fold(self, |totals, worker| {
            let busy = metrics.worker_total_busy_duration(worker).as_millis();
            Self {
                parks: totals.parks.saturating_add(metrics.worker_park_count(worker)),
                busy_milliseconds: totals
                    .busy_milliseconds
                    .saturating_add(u64::try_from(busy).unwrap_or(u64::MAX)),
            }
        })
    }
}

impl Runtimes {
    /// Makes the instruments; no runtime is known yet.
    pub(super) fn observe(meter: &Meter) -> Self {
        let runtimes = Self::default();
        let level = |name: &'static str, unit, description, read: fn(&RuntimeMetrics) -> usize| {
            let runtimes = runtimes.clone();
            let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
            let gauge = gauge.with_callback(move |observer| {
                let sum: usize = runtimes.known().running.iter().map(|runtime| read(&runtime.metrics)).sum();
                observer.observe(sum as u64, &[]);
            });
            gauge.build();
        };
        level(
            "tokio.workers",
            "{worker}",
            "Threads that run tasks, of all runtimes.",
            RuntimeMetrics::num_workers,
        );
        level("tokio.alive_tasks", "{task}", "Tasks that have not ended.", RuntimeMetrics::num_alive_tasks);
        level(
            "tokio.global_queue_depth",
            "{task}",
            "Tasks that wait in the queues that all workers of a runtime share.",
            RuntimeMetrics::global_queue_depth,
        );

        let total = |name: &'static str, unit, description, read: fn(Totals) -> u64| {
            let runtimes = runtimes.clone();
            let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
            let counter = counter.with_callback(move |observer| {
                let known = runtimes.known();
                let totals =
                    known.running.iter().fold(known.past, |totals, runtime| totals.plus(&runtime.metrics));
                observer.observe(read(totals), &[]);
            });
            counter.build();
        };
        total("tokio.worker.park_count", "{park}", "How often workers had nothing to do.", |now| now.parks);
        total("tokio.worker.busy_duration", "ms", "How long workers have run tasks.", |now| {
            now.busy_milliseconds
        });
        runtimes
    }

    /// Tells of the runtime that is current, as long as the answer or another of the same runtime lives; none without
    /// a runtime.
    pub(crate) fn watch_current(&self) -> Option<RuntimeWatch> {
        let handle = Handle::try_current().ok()?;
        let id = handle.id();
        let mut known = self.known();
        match known.running.iter_mut().find(|runtime| runtime.id == id) {
            Some(runtime) => runtime.watches += 1,
            None => known.running.push(Runtime { id, metrics: handle.metrics(), watches: 1 }),
        }
        drop(known);
        Some(RuntimeWatch { runtimes: self.clone(), id })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a runtime among those that are told of.
#[derive(Debug)]
pub(crate) struct RuntimeWatch {
    runtimes: Runtimes,
    id: Id,
}

impl Drop for RuntimeWatch {
    fn drop(&mut self) {
        let mut known = self.runtimes.known();
        let Some(place) = known.running.iter().position(|runtime| runtime.id == self.id) else { return };
        known.running[place].watches -= 1;
        if known.running[place].watches == 0 {
            let runtime = known.running.swap_remove(place);
            known.past = known.past.plus(&runtime.metrics);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tokio::runtime::Builder;

    use super::*;
    use crate::testing::TestTelemetry;

    fn read(telemetry: &TestTelemetry) -> BTreeMap<String, f64> {
        telemetry.metrics().into_iter().map(|series| (series.name, series.value)).collect()
    }

    #[test]
    fn runtimes_are_summed_up_while_they_are_watched() {
        let telemetry = TestTelemetry::new();
        let runtimes = Runtimes::observe(telemetry.meter());
        assert!(runtimes.watch_current().is_none(), "there is no runtime here");
        assert_eq!(read(&telemetry)["tokio.workers"], 0.0);

        let many = Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
        let one = Builder::new_current_thread().enable_time().build().unwrap();
        let watches: Vec<_> = [&many, &one, &one]
            .map(|runtime| runtime.block_on(async { runtimes.watch_current() }).unwrap())
            .into_iter()
            .collect();
        let task = one.spawn(std::future::pending::<()>());
        one.block_on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            // As long as the clock of milliseconds needs to see it.
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_millis(5) {}
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
        let now = read(&telemetry);
        assert_eq!(now["tokio.workers"], 4.0, "a runtime counts once: {now:?}");
        assert_eq!(now["tokio.alive_tasks"], 1.0);
        assert_eq!(now["tokio.global_queue_depth"], 0.0);
        assert!(now["tokio.worker.busy_duration"] >= 5.0, "{now:?}");
        assert!(now["tokio.worker.park_count"] > 0.0, "{now:?}");

        task.abort();
        drop((many, one, watches));
        let after = read(&telemetry);
        assert_eq!(after["tokio.workers"], 0.0);
        assert_eq!(after["tokio.alive_tasks"], 0.0);
        for total in ["tokio.worker.busy_duration", "tokio.worker.park_count"] {
            assert!(after[total] >= now[total], "{total} fell: {now:?} {after:?}");
        }
    }
}
