//! What every request asks again: key → project, cookie → session, bearer token → its scopes.
//!
//! A cache only saves reads. Whoever changes something calls `forget` or `forget_all` after the commit; an answer
//! that was read before that is not remembered.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;

use super::keys::Grant;
use super::sessions::Session;
use super::tokens::ApiToken;
use super::{PublicKey, TokenHash};
use crate::base::Timestamp;

/// One memory for each kind of credential. A change of a key or of its project concerns `keys`; of a user, a
/// role or a membership `sessions`; of a token `tokens`.
pub struct Cache {
    pub keys: Memory<PublicKey, Grant>,
    pub sessions: Memory<TokenHash, Session>,
    pub tokens: Memory<TokenHash, ApiToken>,
}

/// A bounded memory of what was found and, for a short while, of what was not. The least recently used goes
/// first.
pub struct Memory<K, V> {
    present: moka::sync::Cache<K, Remembered<V>>,
    /// Apart, so that a flood of unknown keys does not push the known ones out.
    absent: moka::sync::Cache<K, Timestamp>,
    /// Moves with every `forget`: what was read under an older one is not remembered.
    generation: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a memory knows.
#[derive(Debug)]
pub enum Lookup<V> {
    Present(Arc<V>),
    /// Looked for a moment ago, and not there.
    Absent,
    /// Read it from the store, then hand the ticket to [`Memory::remember`].
    Unknown(Ticket),
}

/// Taken before a read, so that a change during it is noticed.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub hits: u64,
    pub misses: u64,
    pub entries: u64,
}

struct Remembered<V> {
    value: Arc<V>,
    at: Timestamp,
}

impl<V> Clone for Remembered<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), at: self.at }
    }
}

/// Each a few hundred bytes: some megabytes at worst.
const ENTRIES_MAX: u64 = 10_000;
/// Belt and braces: every change is told; one that was not is seen after this.
const PRESENT_FOR: Duration = Duration::from_mins(5);
/// Long enough to take the load of a wrongly configured app off the store.
const ABSENT_FOR: Duration = Duration::from_secs(10);

impl Default for Cache {
    fn default() -> Self {
        Self { keys: Memory::new(), sessions: Memory::new(), tokens: Memory::new() }
    }
}

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn new() -> Self {
        let lru = EvictionPolicy::lru;
        Self {
            present: moka::sync::Cache::builder().max_capacity(ENTRIES_MAX).eviction_policy(lru()).build(),
            absent: moka::sync::Cache::builder().max_capacity(ENTRIES_MAX).eviction_policy(lru()).build(),
            generation: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub fn look_up(&self, key: &K, now: Timestamp) -> Lookup<V> {
        let fresh = |at: Timestamp, lifetime| now.since(at) < lifetime;
        if let Some(found) = self.present.get(key).filter(|found| fresh(found.at, PRESENT_FOR)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Lookup::Present(found.value);
        }
        if self.absent.get(key).is_some_and(|at| fresh(at, ABSENT_FOR)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Lookup::Absent;
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        Lookup::Unknown(Ticket(self.generation.load(Ordering::Acquire)))
    }

    /// Remembers what the store said, and returns it.
    pub fn remember(&self, ticket: Ticket, key: &K, found: Option<V>, now: Timestamp) -> Option<Arc<V>>
    where
        K: Clone,
    {
        let found = found.map(Arc::new);
        match &found {
            Some(value) => self.present.insert(key.clone(), Remembered { value: Arc::clone(value), at: now }),
            None => self.absent.insert(key.clone(), now),
        }
        // Asked after the insertion: a change in between either finds the entry or is found here.
        if self.generation.load(Ordering::Acquire) != ticket.0 {
            self.present.invalidate(key);
            self.absent.invalidate(key);
        }
        found
    }

    /// Forgets one entry; call it after the commit that created, changed or ended it.
    pub fn forget(&self, key: &K) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.present.invalidate(key);
        self.absent.invalidate(key);
    }

    /// Forgets everything: after a change that concerns many entries, such as a role or an archived project.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.present.invalidate_all();
        self.absent.invalidate_all();
    }

    pub fn counts(&self) -> Counts {
        Counts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.present.entry_count() + self.absent.entry_count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn ticket(memory: &Memory<u8, &'static str>, key: u8, now: Timestamp) -> Ticket {
        match memory.look_up(&key, now) {
            Lookup::Unknown(ticket) => ticket,
            known => panic!("{known:?}"),
        }
    }

    fn knows(memory: &Memory<u8, &'static str>, key: u8, now: Timestamp) -> bool {
        !matches!(memory.look_up(&key, now), Lookup::Unknown(_))
    }

    #[test]
    fn what_was_found_is_known_until_it_is_forgotten_or_old() {
        let memory = Memory::new();
        let found = memory.remember(ticket(&memory, 1, NOON), &1, Some("shop"), NOON);
        assert_eq!(found.as_deref(), Some(&"shop"));
        assert!(matches!(memory.look_up(&1, NOON), Lookup::Present(value) if *value == "shop"));
        assert!(!knows(&memory, 1, NOON + PRESENT_FOR));
        memory.forget(&1);
        assert!(!knows(&memory, 1, NOON));
        let counts = memory.counts();
        assert_eq!((counts.hits, counts.misses), (1, 3));
    }

    #[test]
    fn what_was_not_found_is_known_for_a_moment_only() {
        let memory = Memory::<u8, &str>::new();
        assert!(memory.remember(ticket(&memory, 1, NOON), &1, None, NOON).is_none());
        assert!(matches!(memory.look_up(&1, NOON), Lookup::Absent));
        assert!(!knows(&memory, 1, NOON + ABSENT_FOR));
        // A key that was just created works on the next request.
        memory.forget(&1);
        assert!(!knows(&memory, 1, NOON));
    }

    #[test]
    fn an_answer_that_was_read_before_a_change_is_not_remembered() {
        let memory = Memory::new();
        let before = ticket(&memory, 1, NOON);
        memory.forget(&1);
        assert!(memory.remember(before, &1, Some("revoked meanwhile"), NOON).is_some());
        assert!(!knows(&memory, 1, NOON));
        let before = ticket(&memory, 1, NOON);
        memory.forget_all();
        memory.remember(before, &1, None, NOON);
        assert!(!knows(&memory, 1, NOON));
    }

    #[test]
    fn forgetting_everything_forgets_at_once_and_remembers_anew() {
        let memory = Memory::new();
        for key in 0..100 {
            memory.remember(ticket(&memory, key, NOON), &key, Some("x"), NOON);
        }
        memory.forget_all();
        assert!((0..100).all(|key| !knows(&memory, key, NOON)));
        memory.remember(ticket(&memory, 1, NOON), &1, Some("y"), NOON);
        assert!(knows(&memory, 1, NOON));
    }

    #[test]
    fn a_flood_of_unknown_keys_does_not_push_out_a_known_one() {
        let memory: Memory<u64, &str> = Memory::new();
        let Lookup::Unknown(first) = memory.look_up(&u64::MAX, NOON) else { panic!("new") };
        memory.remember(first, &u64::MAX, Some("shop"), NOON);
        for key in 0..3 * ENTRIES_MAX {
            memory.remember(first, &key, None, NOON);
        }
        assert!(matches!(memory.look_up(&u64::MAX, NOON), Lookup::Present(_)));
    }
}
