//! How often someone may try: so many times at once, and then so many a minute.
//!
//! Whoever tries is a key, such as an address of the network or of a mailbox. Only a keyed hash of it is kept, and of
//! a bounded number of keys, so that no caller can make the memory grow and no memory tells who tried.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Some 6 MB. Keys that have not tried for as long as it takes to fill their quota again are forgotten first.
const MAX_KEYS: usize = 65_536;

/// Where all of them keep trying, further keys share so many quotas among them.
const SHARED_KEYS: u64 = 1024;

type Limiter<C> = RateLimiter<u64, HashMapStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Counts the tries of each key.
pub struct Throttle<C: Clock = DefaultClock> {
    limiter: Limiter<C>,
    clock: C,
    hasher: RandomState,
    max_keys: usize,
    tries_while_full: AtomicU64,
}

impl Throttle {
    /// Takes `per_minute` tries of each key at once, and as many in each minute.
    pub fn per_minute(per_minute: NonZeroU32) -> Self {
        Self::with_clock(per_minute, MAX_KEYS, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(per_minute: NonZeroU32, max_keys: usize, clock: C) -> Self {
        let limiter =
            RateLimiter::new(Quota::per_minute(per_minute), HashMapStateStore::default(), clock.clone());
        let tries_while_full = AtomicU64::new(0);
        Self { limiter, clock, hasher: RandomState::new(), max_keys, tries_while_full }
    }

    /// Takes a try of this key.
    ///
    /// # Errors
    /// Where it has tried too often: how long it must wait until a try is taken again.
    pub fn take(&self, key: impl Hash) -> Result<(), Duration> {
        let mut key = self.hasher.hash_one(key);
        if self.limiter.len() >= self.max_keys {
            // It looks at all of them, so not at each try.
            if self.tries_while_full.fetch_add(1, Ordering::Relaxed).is_multiple_of(SHARED_KEYS) {
                self.limiter.retain_recent();
            }
            if self.limiter.len() >= self.max_keys {
                key %= SHARED_KEYS;
            }
        }
        self.limiter.check_key(&key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

/// Whom an address stands for: an IPv6 host has the whole of its /64 to try from.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn throttle(per_minute: u32, max_keys: usize) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Throttle::with_clock(per_minute.try_into().unwrap(), max_keys, clock.clone()), clock)
    }

    #[test]
    fn a_key_may_try_so_often_at_once_and_again_after_a_while() {
        let (throttle, clock) = throttle(10, MAX_KEYS);
        for _ in 0..10 {
            assert_eq!(throttle.take("ada"), Ok(()));
        }
        assert_eq!(throttle.take("ada"), Err(Duration::from_secs(6)));
        assert_eq!(throttle.take("bob"), Ok(()), "one key's tries are not another's");
        clock.advance(Duration::from_secs(6));
        assert_eq!(throttle.take("ada"), Ok(()));
        assert!(throttle.take("ada").is_err());
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_the_rest_share() {
        let (throttle, clock) = throttle(1, 8);
        for key in 0..100_000 {
            let _ = throttle.take(key);
        }
        assert!(throttle.limiter.len() as u64 <= 8 + SHARED_KEYS, "{}", throttle.limiter.len());
        assert!((0..2_000).all(|key| throttle.take(key).is_err()), "those that share are throttled too");
        clock.advance(Duration::from_secs(180));
        // One of so many tries sweeps.
        for _ in 0..SHARED_KEYS {
            let _ = throttle.take("new");
        }
        assert!(throttle.limiter.len() <= 2, "who waited long enough is forgotten");
    }

    #[test]
    fn an_ipv6_host_is_its_network() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
