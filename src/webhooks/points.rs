//! What a destination did, in stretches of five minutes: what pages draw and rules judge.

use std::time::Duration;

use super::DestinationId;
use crate::base::Timestamp;
use crate::store::{Error, WriteTx, params};

/// Of one point.
pub const POINT: Duration = Duration::from_mins(5);
/// An answer that took longer is slow.
pub const SLOW: Duration = Duration::from_secs(1);

/// How long answers took, counted by doubling durations: below 1 ms, below 2 ms, … below 2^17 ms, and longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    counts: [u32; BUCKETS],
}

const BUCKETS: usize = 19;

/// What happened within one point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    pub attempts: u32,
    pub failures: u32,
    pub completed: u32,
    /// Completed by the first attempt.
    pub at_first: u32,
    pub dead: u32,
    /// Answered later than [`SLOW`].
    pub slow: u32,
    pub latency: Durations,
}

impl Durations {
    pub fn add(&mut self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - millis.leading_zeros()) as usize;
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count = count.saturating_add(1);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// A duration that `share` of the answers did not exceed: the upper end of its stretch. `None` without answers.
    pub fn at_most(&self, share: f64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "a count of answers in five minutes")]
        let wanted = self.count() as f64 * share.clamp(0.0, 1.0);
        let mut seen = 0.0;
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).find_map(|(bucket, count)| {
            seen += f64::from(*count);
            (seen >= wanted).then(|| Duration::from_millis(1 << bucket))
        })
    }

    /// As it is stored: 32-bit counts, the least significant byte first, without the zeros at the end.
    pub fn write(&self) -> Vec<u8> {
        let used = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.counts.iter().take(used).flat_map(|count| count.to_le_bytes()).collect()
    }

    /// What does not fit is left out: a newer program counted longer ones.
    pub fn read(bytes: &[u8]) -> Self {
        let mut durations = Self::default();
        for (count, stored) in durations.counts.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *count = u32::from_le_bytes(*stored);
        }
        durations
    }
}

impl Point {
    /// Adds to the stored point of `at`.
    pub(super) fn save(
        &self,
        tx: &WriteTx<'_>,
        destination: DestinationId,
        at: Timestamp,
    ) -> Result<(), Error> {
        let stored = tx.first(
            "SELECT latency FROM webhook_destination_points WHERE destination_id = ?1 AND at = ?2",
            params![destination.0, at.as_micros()],
            |row| Ok(Durations::read(row.get_ref(0)?.as_blob()?)),
        )?;
        let mut latency = stored.unwrap_or_default();
        latency.merge(&self.latency);
        tx.execute(
            "INSERT INTO webhook_destination_points
                 (destination_id, at, attempts, failures, completed, at_first, dead, slow, latency)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (destination_id, at) DO UPDATE SET
                 attempts = attempts + excluded.attempts, failures = failures + excluded.failures,
                 completed = completed + excluded.completed, at_first = at_first + excluded.at_first,
                 dead = dead + excluded.dead, slow = slow + excluded.slow, latency = excluded.latency",
            params![
                destination.0,
                at.as_micros(),
                self.attempts,
                self.failures,
                self.completed,
                self.at_first,
                self.dead,
                self.slow,
                latency.write()
            ],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_counted_where_its_duration_lies() {
        let mut durations = Durations::default();
        for (micros, upper) in [(0, 1), (999, 1), (1_000, 2), (1_999, 2), (2_000, 4), (1_000_000, 1024)] {
            let mut one = Durations::default();
            one.add(Duration::from_micros(micros));
            assert_eq!(one.at_most(1.0), Some(Duration::from_millis(upper)), "{micros} µs");
            durations.merge(&one);
        }
        assert_eq!(durations.count(), 6);
        assert_eq!(durations.at_most(0.5), Some(Duration::from_millis(2)));
        assert_eq!(Durations::default().at_most(0.5), None);
        durations.add(Duration::MAX);
        assert_eq!(durations.write().len(), 4 * BUCKETS);
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_again(millis in prop::collection::vec(0u64..300_000, 0..50)) {
            let mut durations = Durations::default();
            for milli in millis {
                durations.add(Duration::from_millis(milli));
            }
            prop_assert_eq!(Durations::read(&durations.write()), durations);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            Durations::read(&bytes);
        }
    }
}
