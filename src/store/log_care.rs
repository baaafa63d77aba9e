//! What the writer does about the write-ahead log after a commit: a pure decision, and when to try again.

use std::time::{Duration, Instant};

/// Sizes of the log, in pages, at which something is done about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogBounds {
    /// From so much new on the checkpointer works: small enough that a pass is short.
    pub(super) start: u64,
    /// From here on the writer copies the small rest itself, so that the log starts again at its beginning.
    pub(super) finish: u64,
    /// The cap: the writer copies all that is left and truncates the file. Rare, and counted.
    pub(super) cap: u64,
}

impl Default for LogBounds {
    /// 4, 16 and 128 MiB at 8 KiB pages.
    fn default() -> Self {
        Self { start: 512, finish: 2048, cap: 16_384 }
    }
}

/// The writer finishes what is at most this part of the log: under load the checkpointer is always a little behind, behind
/// a long reader nearly all is left.
const SMALL_PART: u64 = 4;
/// What a reader holds up is tried again after this long, or when the log grew by [`LogBounds::start`].
const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    Leave,
    /// Wake the checkpointer.
    Nudge,
    /// Copy the rest: if all is copied, the next commit starts at the beginning of the log.
    Finish,
    /// Copy the rest, however much, and cut the file.
    Truncate,
}

/// What the checkpointer last found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) is_working: bool,
    /// Pages in the log at its last pass.
    pub(super) pages: u64,
    /// Of these, what is in the database.
    pub(super) copied: u64,
}

/// Remembers what was tried: a reader that stays must cost attempts, not time.
pub(super) struct LogCare {
    pub(super) bounds: LogBounds,
    tried: Option<Tried>,
    nudged_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    pages: u64,
    at: Instant,
}

impl LogCare {
    pub(super) const fn new(bounds: LogBounds) -> Self {
        Self { bounds, tried: None, nudged_at: None }
    }

    /// Decides and remembers, given the length of the log.
    pub(super) fn after_commit(&mut self, pages: u64, seen: &Seen, now: Instant) -> Care {
        let care = self.decide(pages, seen, now);
        match care {
            Care::Leave => {}
            Care::Nudge => self.nudged_at = Some(now),
            Care::Finish | Care::Truncate => self.tried = Some(Tried { pages, at: now }),
        }
        care
    }

    fn decide(&self, pages: u64, seen: &Seen, now: Instant) -> Care {
        let LogBounds { start, finish, cap } = self.bounds;
        if seen.is_working || pages < start {
            return Care::Leave;
        }
        let rest = beyond(pages, seen.copied);
        let is_small = rest <= pages / SMALL_PART;
        let is_long_ago = |at: Instant| now.duration_since(at) >= RETRY_AFTER;
        // A long rest is for the checkpointer to try again after some time, not for a commit.
        let is_due = self
            .tried
            .is_none_or(|tried| beyond(pages, tried.pages) >= start || (is_small && is_long_ago(tried.at)));
        if is_due && pages >= cap {
            return Care::Truncate;
        }
        if is_due && pages >= finish && is_small {
            return Care::Finish;
        }
        let is_new = beyond(pages, seen.pages) >= start;
        let is_left = rest >= start && self.nudged_at.is_none_or(is_long_ago);
        if is_new || is_left { Care::Nudge } else { Care::Leave }
    }
}

/// How far the log is past `known`; a log that began anew is past all of it.
fn beyond(pages: u64, known: u64) -> u64 {
    pages.checked_sub(known).unwrap_or(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: LogBounds = LogBounds { start: 10, finish: 40, cap: 100 };

    fn seen(pages: u64, copied: u64) -> Seen {
        Seen { is_working: false, pages, copied }
    }

    #[test]
    fn the_longer_the_log_the_more_is_done() {
        let now = Instant::now();
        let table = [
            (9, seen(0, 0), Care::Leave),
            (10, seen(0, 0), Care::Nudge),
            (19, seen(10, 10), Care::Leave),
            (20, seen(10, 10), Care::Nudge),
            (40, seen(35, 35), Care::Finish),
            // Too much for a commit; the checkpointer has it.
            (60, seen(35, 35), Care::Nudge),
            (80, seen(60, 60), Care::Finish),
            (100, seen(35, 35), Care::Truncate),
            // The log began anew since the last pass.
            (15, seen(90, 90), Care::Nudge),
        ];
        for (pages, seen, expected) in table {
            assert_eq!(LogCare::new(BOUNDS).after_commit(pages, &seen, now), expected, "{pages} {seen:?}");
            let working = Seen { is_working: true, ..seen };
            assert_eq!(LogCare::new(BOUNDS).after_commit(pages, &working, now), Care::Leave);
        }
    }

    #[test]
    fn what_was_held_up_is_tried_again_after_growth_or_time() {
        let now = Instant::now();
        let mut care = LogCare::new(BOUNDS);
        assert_eq!(care.after_commit(100, &seen(100, 98), now), Care::Truncate);
        assert_eq!(care.after_commit(105, &seen(100, 98), now), Care::Leave);
        assert_eq!(care.after_commit(110, &seen(110, 105), now), Care::Truncate);
        assert_eq!(care.after_commit(111, &seen(110, 105), now + RETRY_AFTER), Care::Truncate);
        // Cut at last: the next log is a new one.
        assert_eq!(care.after_commit(40, &seen(35, 35), now + RETRY_AFTER), Care::Finish);
    }

    #[test]
    fn a_reader_that_stays_leaves_the_copying_to_the_checkpointer() {
        let now = Instant::now();
        let mut care = LogCare::new(BOUNDS);
        assert_eq!(care.after_commit(100, &seen(95, 5), now), Care::Truncate);
        assert_eq!(care.after_commit(105, &seen(100, 5), now), Care::Nudge);
        assert_eq!(care.after_commit(106, &seen(105, 5), now), Care::Leave);
        assert_eq!(care.after_commit(107, &seen(105, 5), now + RETRY_AFTER), Care::Nudge);
    }
}
