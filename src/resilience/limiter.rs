//! Sliding windows by key, shared by every thread that takes requests.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::window::{Admission, Quota, SlidingWindow};
use crate::base::Timestamp;

/// One exact window per key, with a bound on keys.
///
/// A key that finds no room, because every other is in use, shares one window with its like: at the bound
/// strangers are limited together, and nobody gets more than the quota.
pub struct Limiter<K> {
    shards: Vec<Mutex<Shard<K>>>,
    keys_per_shard: usize,
    hasher: RandomState,
    crowded: AtomicU64,
}

struct Shard<K> {
    windows: HashMap<K, SlidingWindow, RandomState>,
    /// The window of those that found no room.
    crowd: Option<SlidingWindow>,
    swept_at: Timestamp,
}

/// More than the threads that take requests, so that two rarely meet at one lock.
const SHARDS: usize = 16;
/// A full shard looks for idle keys at most this often: under a flood of new keys the look is not the load.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// Room for about `keys_max` keys. Each takes up to 16 bytes per admission that still counts.
    pub fn new(keys_max: usize) -> Self {
        let hasher = RandomState::new();
        let shard = || Shard {
            windows: HashMap::with_hasher(hasher.clone()),
            crowd: None,
            swept_at: Timestamp::from_micros(i64::MIN),
        };
        let shards = std::iter::repeat_with(|| Mutex::new(shard())).take(SHARDS).collect();
        Self { shards, keys_per_shard: keys_max.div_ceil(SHARDS), hasher, crowded: AtomicU64::new(0) }
    }

    /// Decides about `cost` of `key` under `quota`, which may differ from call to call: the newest counts.
    pub fn admit(&self, key: &K, quota: Quota, now: Timestamp, cost: u32) -> Admission {
        let mut shard = self.shard(key);
        if let Some(window) = shard.windows.get_mut(key) {
            return admit(window, quota, now, cost);
        }
        if shard.windows.len() >= self.keys_per_shard {
            shard.sweep(now);
        }
        if shard.windows.len() >= self.keys_per_shard {
            self.crowded.fetch_add(1, Ordering::Relaxed);
            let window = shard.crowd.get_or_insert_with(|| SlidingWindow::new(quota));
            return admit(window, quota, now, cost);
        }
        let mut window = SlidingWindow::new(quota);
        let admission = window.admit(now, cost);
        shard.windows.insert(key.clone(), window);
        admission
    }

    /// Undoes what was admitted at `at`, where it still counts.
    pub fn take_back(&self, key: &K, at: Timestamp, cost: u32) {
        let mut shard = self.shard(key);
        let Shard { windows, crowd, .. } = &mut *shard;
        if let Some(window) = windows.get_mut(key).or(crowd.as_mut()) {
            window.take_back(at, cost);
        }
    }

    /// Forgets what `key` used: after a sign-in that succeeded.
    pub fn forget(&self, key: &K) {
        self.shard(key).windows.remove(key);
    }

    /// Keys that are remembered now.
    pub fn keys(&self) -> usize {
        let len =
            |shard: &Mutex<Shard<K>>| shard.lock().unwrap_or_else(PoisonError::into_inner).windows.len();
        self.shards.iter().map(len).sum()
    }

    /// Decisions so far that were made in a shared window because the bound on keys was reached.
    pub fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &K) -> std::sync::MutexGuard<'_, Shard<K>> {
        // The map inside uses the low bits of the same hash, so the shard is chosen by others.
        let hash = self.hasher.hash_one(key) >> 48;
        let index = usize::try_from(hash).unwrap_or(0) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn sweep(&mut self, now: Timestamp) {
        if now.since(self.swept_at) >= SWEEP_EVERY || now < self.swept_at {
            self.swept_at = now;
            self.drop_idle(now);
        }
    }

    fn drop_idle(&mut self, now: Timestamp) {
        self.windows.retain(|_, window| !window.is_idle(now));
        if self.crowd.as_ref().is_some_and(|window| window.is_idle(now)) {
            self.crowd = None;
        }
    }
}

fn admit(window: &mut SlidingWindow, quota: Quota, now: Timestamp, cost: u32) -> Admission {
    if window.quota() != quota {
        window.set_quota(quota);
    }
    window.admit(now, cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);
    const THREE: Quota = Quota::new(3, Duration::from_mins(1));

    fn admitted(limiter: &Limiter<u64>, key: u64, now: Timestamp) -> bool {
        matches!(limiter.admit(&key, THREE, now, 1), Admission::Admitted { .. })
    }

    #[test]
    fn keys_are_limited_apart_and_a_forgotten_one_starts_anew() {
        let limiter = Limiter::new(100);
        assert_eq!((0..5).filter(|_| admitted(&limiter, 1, NOON)).count(), 3);
        assert!(admitted(&limiter, 2, NOON));
        limiter.forget(&1);
        assert!(admitted(&limiter, 1, NOON));
    }

    #[test]
    fn threads_together_get_exactly_the_limit() {
        let limiter = Limiter::new(100);
        let quota = Quota::new(1000, Duration::from_mins(1));
        let total: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000)
                            .filter(|_| {
                                matches!(limiter.admit(&7, quota, NOON, 1), Admission::Admitted { .. })
                            })
                            .count()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(total, 1000);
    }

    #[test]
    fn at_the_bound_strangers_share_a_window_and_known_keys_are_not_disturbed() {
        let limiter = Limiter::new(SHARDS);
        for key in 0..1000 {
            admitted(&limiter, key, NOON);
        }
        assert_eq!(limiter.keys(), SHARDS);
        assert_eq!(limiter.crowded(), 1000 - SHARDS as u64);
        let strangers = (1000..2000).filter(|key| admitted(&limiter, *key, NOON)).count();
        assert!(strangers <= 3 * SHARDS, "{strangers}");
        let known = (0..1000).filter(|key| admitted(&limiter, *key, NOON)).count();
        assert!(known >= SHARDS, "{known}");
    }

    #[test]
    fn idle_keys_make_room() {
        let limiter = Limiter::new(SHARDS);
        for key in 0..1000 {
            admitted(&limiter, key, NOON);
        }
        let later = NOON + Duration::from_mins(1);
        let crowded = limiter.crowded();
        assert!((2000..2003).all(|key| admitted(&limiter, key, later)));
        assert!(limiter.crowded() <= crowded + 2, "the sweep freed nothing");
    }
}
