//! How the users of an issue are kept: appended in small pieces, loaded when an issue is hot.

use std::collections::HashMap;

use super::incoming::Incoming;
use super::rows::Stats;
use super::sketch::{CHUNK_HASHES_MAX, STORED_HASHES_MAX, UserSet, hash_bytes};
use crate::store::{Error, ReadTx, WriteTx, params};

/// Issues whose users are kept in memory: 8 kB each at most. The rest is read when it is needed.
const KNOWN_ISSUES_MAX: usize = 2_000;
const TAIL_BYTES_MAX: usize = CHUNK_HASHES_MAX * 8;

/// An issue's users and how many chunks of them are stored.
#[derive(Clone, Default)]
pub(super) struct Users {
    set: UserSet,
    chunks: i64,
}

/// The users of issues that had events lately.
#[derive(Default)]
pub(super) struct KnownUsers {
    by_issue: HashMap<i64, Users>,
}

impl KnownUsers {
    /// Counts the users of `events` into `stats` and stores those that are new to the issue.
    pub(super) fn count(
        &self,
        tx: &WriteTx<'_>,
        issue: i64,
        stats: &mut Stats,
        events: &[&Incoming],
        staged: &mut HashMap<i64, Users>,
    ) -> Result<(), Error> {
        if events.iter().all(|event| event.user.is_none()) {
            return Ok(());
        }
        let known = staged.get(&issue).or_else(|| self.by_issue.get(&issue));
        let mut hashes = events.iter().filter_map(|event| event.user);
        let mut users = match known {
            // Most events come from users who were seen before: nothing is copied for them.
            Some(users) if !hashes.any(|hash| users.set.lacks(hash)) => return Ok(()),
            Some(users) => users.clone(),
            None => Users::load(tx, issue, stats)?,
        };
        let new: Vec<u64> =
            events.iter().filter_map(|event| event.user).filter(|hash| users.set.insert(*hash)).collect();
        if !new.is_empty() {
            users.append(tx, issue, stats, &new)?;
            let count = users.set.count();
            stats.users = i64::try_from(count.number()).unwrap_or(i64::MAX);
            stats.users_exact = count.is_exact();
        }
        staged.insert(issue, users);
        Ok(())
    }

    pub(super) fn remember(&mut self, staged: HashMap<i64, Users>) {
        if self.by_issue.len() > KNOWN_ISSUES_MAX {
            self.by_issue.clear();
        }
        self.by_issue.extend(staged);
    }
}

impl Users {
    fn load(tx: &ReadTx<'_>, issue: i64, stats: &Stats) -> Result<Self, Error> {
        let mut set = UserSet::default();
        let stored = tx.all("SELECT hashes FROM issue_users WHERE issue_id = ?1", [issue], |row| {
            row.get::<_, Vec<u8>>(0)
        })?;
        for chunk in &stored {
            set.extend_from_bytes(chunk);
        }
        set.extend_from_bytes(&stats.users_tail);
        Ok(Self { set, chunks: i64::try_from(stored.len()).unwrap_or(i64::MAX) })
    }

    /// Appends to the tail that stands beside the counters; a full tail becomes a chunk.
    fn append(&mut self, tx: &WriteTx<'_>, issue: i64, stats: &mut Stats, new: &[u64]) -> Result<(), Error> {
        for hash in new {
            stats.users_tail.extend_from_slice(&hash_bytes(*hash));
            if stats.users_tail.len() >= TAIL_BYTES_MAX {
                self.store_chunk(tx, issue, &stats.users_tail)?;
                stats.users_tail.clear();
            }
        }
        let stored = usize::try_from(self.chunks).unwrap_or(usize::MAX).saturating_mul(CHUNK_HASHES_MAX);
        if stored > STORED_HASHES_MAX {
            self.rewrite(tx, issue, stats)?;
        }
        Ok(())
    }

    /// Drops what an estimate no longer needs.
    fn rewrite(&mut self, tx: &WriteTx<'_>, issue: i64, stats: &mut Stats) -> Result<(), Error> {
        tx.execute("DELETE FROM issue_users WHERE issue_id = ?1", [issue])?;
        self.chunks = 0;
        stats.users_tail.clear();
        for chunk in self.set.to_bytes().chunks(TAIL_BYTES_MAX) {
            self.store_chunk(tx, issue, chunk)?;
        }
        Ok(())
    }

    fn store_chunk(&mut self, tx: &WriteTx<'_>, issue: i64, hashes: &[u8]) -> Result<(), Error> {
        tx.execute(
            "INSERT INTO issue_users (issue_id, chunk, hashes) VALUES (?1, ?2, ?3)",
            params![issue, self.chunks, hashes],
        )?;
        self.chunks += 1;
        Ok(())
    }
}
