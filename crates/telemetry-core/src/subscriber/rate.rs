//! How often one place in the code may log: a line in a loop must not cost the process its disk, its collector's
//! bill, and everybody else's lines their place in the queue.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::{Context, Filter};

use super::records::source_path;

/// The target of the line that tells what was suppressed.
pub(super) const TARGET: &str = "telemetry_core::log_rate";

/// How many places are watched: programs have fewer that log often. What finds no room is not limited.
const PLACES: usize = 1024;

/// How far from where its hash points a place may be.
const LONGEST_SEARCH: usize = 16;

/// Lets through so many events of one place in the code a second. The rest is counted, and told by one line for each
/// place and second. Clones share their counts.
///
/// A place is a callsite of `tracing`; of the `log` crate a file, line, level and target. An event below the limit
/// costs a reading of the clock and two atomic operations, takes no lock, and allocates nothing.
#[derive(Debug, Clone)]
pub(crate) struct RateLimit {
    /// None where there is no limit.
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    per_second: u32,
    start: Instant,
    places: Box<[Place]>,
    suppressed: Arc<AtomicU64>,
    /// Whether a thread runs that tells what is suppressed.
    is_told: AtomicBool,
    /// Held while it is told, so that whoever tells last knows that all is told.
    telling: Mutex<()>,
}

#[derive(Debug, Default)]
struct Place {
    /// The hash of whose place this is, or 0 for nobody's.
    key: AtomicU64,
    /// The second in the upper half; in the lower, how many were let through in it.
    window: AtomicU64,
    suppressed: AtomicU64,
    /// Known as soon as something was suppressed.
    name: OnceLock<Name>,
}

#[derive(Debug)]
struct Name {
    level: &'static str,
    target: String,
    place: String,
}

impl RateLimit {
    /// 0 is no limit. `suppressed` counts all that is not let through.
    pub(crate) fn new(per_second: u32, suppressed: Arc<AtomicU64>) -> Self {
        let shared = (per_second > 0).then(|| {
            let places = (0..PLACES).map(|_| Place::default()).collect();
            let is_told = AtomicBool::new(false);
            let telling = Mutex::default();
            Arc::new(Shared { per_second, start: Instant::now(), places, suppressed, is_told, telling })
        });
        Self { shared }
    }

    /// Tells now what was suppressed and not told yet, for the end of the process: what another thread is about to
    /// tell has been told when this returns.
    pub(crate) fn tell(&self) {
        if let Some(shared) = &self.shared {
            shared.tell();
        }
    }
}

impl<S> Filter<S> for RateLimit {
    fn enabled(&self, _metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _context: &Context<'_, S>) -> bool {
        let Some(shared) = &self.shared else { return true };
        let Some(place) = shared.place(key(event)) else { return true };
        let second = u32::try_from(shared.start.elapsed().as_secs()).unwrap_or(u32::MAX);
        let is_let_through = place.admit(second, shared.per_second);
        if !is_let_through {
            place.name.get_or_init(|| name(event));
            place.suppressed.fetch_add(1, Ordering::AcqRel);
            shared.suppressed.fetch_add(1, Ordering::Relaxed);
            Shared::tell_later(shared);
        }
        is_let_through
    }
}

impl Shared {
    /// The place of this key, taken for it where it is new.
    fn place(&self, key: u64) -> Option<&Place> {
        let first = usize::try_from(key % PLACES as u64).unwrap_or_default();
        (first..first + LONGEST_SEARCH).map(|index| &self.places[index % PLACES]).find(|place| {
            match place.key.load(Ordering::Relaxed) {
                0 => match place.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => true,
                    Err(other) => other == key,
                },
                other => other == key,
            }
        })
    }

    /// Has a thread tell within a second what is suppressed, and again each second until nothing is.
    fn tell_later(shared: &Arc<Self>) {
        if shared.is_told.load(Ordering::Relaxed) || shared.is_told.swap(true, Ordering::AcqRel) {
            return;
        }
        let own = shared.clone();
        let told = thread::Builder::new().name("telemetry-log-rate".to_owned()).spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                if own.tell() > 0 {
                    continue;
                }
                own.is_told.store(false, Ordering::Release);
                // What came between the two lines above would have nobody who tells it.
                let is_waiting = own.places.iter().any(|place| place.suppressed.load(Ordering::Acquire) > 0);
                if !is_waiting || own.is_told.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
        if told.is_err() {
            shared.is_told.store(false, Ordering::Release);
        }
    }

    /// How many places there was something to tell of.
    fn tell(&self) -> usize {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.places.iter().filter_map(|place| {
            let lines = place.suppressed.swap(0, Ordering::AcqRel);
            let Name { level, target, place } = place.name.get()?;
            (lines > 0).then(|| {
                tracing::warn!(
                    target: TARGET,
                    { suppressed.lines = lines, suppressed.level = *level, suppressed.target = %target, suppressed.place = %place },
                    "lines were suppressed: one place logged more than LOG_RATE_LIMIT in a second"
                );
            })
        });
        told.count()
    }
}

impl Place {
    /// Whether one more may pass in this second.
    fn admit(&self, now: u32, per_second: u32) -> bool {
        let mut window = self.window.load(Ordering::Relaxed);
        loop {
            let (second, passed) = (window >> 32, window & u64::from(u32::MAX));
            let next = if second < u64::from(now) {
                u64::from(now) << 32 | 1
            } else if passed < u64::from(per_second) {
                window + 1
            } else {
                return false;
            };
            match self.window.compare_exchange_weak(window, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => window = other,
            }
        }
    }
}

fn key(event: &Event<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match event.normalized_metadata() {
        None => event.metadata().callsite().hash(&mut hasher),
        // All events of the `log` crate share a callsite for each level.
        Some(logged) => {
            let place = (logged.file(), logged.line(), logged.target(), logged.level().as_str());
            place.hash(&mut hasher);
        }
    }
    hasher.finish().max(1)
}

fn name(event: &Event<'_>) -> Name {
    let logged = event.normalized_metadata();
    let metadata = logged.as_ref().unwrap_or_else(|| event.metadata());
    let place = match (metadata.file(), metadata.line()) {
        (Some(file), Some(line)) => format!("{}:{line}", source_path(file)),
        _ => metadata.name().to_owned(),
    };
    Name { level: metadata.level().as_str(), target: metadata.target().to_owned(), place }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn so_many_pass_in_a_second_and_as_many_in_the_next() {
        let place = Place::default();
        let passed = |second| (0..10).filter(|_| place.admit(second, 3)).count();
        assert_eq!([passed(0), passed(0), passed(1), passed(7), passed(6)], [3, 0, 3, 3, 0]);
    }

    #[test]
    fn threads_together_pass_no_more_than_the_limit() {
        let (place, start) = (Place::default(), Barrier::new(4));
        let passed: usize = thread::scope(|scope| {
            let pass = || {
                start.wait();
                (0..10_000).filter(|_| place.admit(5, 1000)).count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(pass)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }

    #[test]
    fn each_place_has_a_slot_of_its_own_until_none_is_near() {
        let limit = RateLimit::new(1, Arc::default());
        let shared = limit.shared.as_deref().unwrap();
        let crowd: Vec<u64> = (1..=LONGEST_SEARCH as u64).map(|n| n * PLACES as u64 - 1).collect();
        let slots: Vec<*const Place> =
            crowd.iter().map(|key| std::ptr::from_ref(shared.place(*key).unwrap())).collect();
        for (key, slot) in crowd.iter().zip(&slots) {
            assert_eq!(std::ptr::from_ref(shared.place(*key).unwrap()), *slot);
        }
        assert_eq!(slots.iter().collect::<std::collections::HashSet<_>>().len(), LONGEST_SEARCH);
        assert!(shared.place(PLACES as u64 * 100 - 1).is_none());
        assert!(shared.place(5).is_some());
    }
}
