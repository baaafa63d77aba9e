//! Memory that what waits may hold together, whoever holds it: bodies that come in, items that wait in lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that several hold parts of. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    held: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub fn new(bytes_max: usize) -> Self {
        Self { held: Arc::default(), bytes_max }
    }

    /// The same bytes, for those who must leave half of them to others: they are refused where half is held, whoever
    /// holds it.
    #[must_use]
    pub fn half(&self) -> Self {
        Self { held: Arc::clone(&self.held), bytes_max: self.bytes_max / 2 }
    }

    /// Takes `bytes`; `None` where others hold so much that it would not fit. Who comes alone always gets them: what
    /// is too large by itself is refused by its own bound, not by waiting for ever.
    pub fn take(&self, bytes: usize) -> Option<Held> {
        let mut held = Held { budget: self.clone(), bytes: 0 };
        held.grow_to(bytes).then_some(held)
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Takes what is missing to `bytes`. `false`: it does not fit, and what was held before stays held.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let Budget { held, bytes_max } = &self.budget;
        let before = held.fetch_add(more, Ordering::Relaxed);
        let alone = before == self.bytes;
        if more > 0 && !alone && before.saturating_add(more) > *bytes_max {
            held.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_dropped_is_given_back() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).unwrap();
        assert!(budget.take(41).is_none());
        let second = budget.take(40).unwrap();
        assert!(!first.grow_to(61));
        assert_eq!(budget.held(), 100);
        drop(second);
        assert!(first.grow_to(100));
        assert!(first.grow_to(10), "it holds more already");
        assert_eq!(budget.held(), 100);
        drop(first);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn who_comes_alone_is_never_refused() {
        let budget = Budget::new(100);
        let mut large = budget.take(1000).unwrap();
        assert!(large.grow_to(2000));
        assert!(budget.take(1).is_none());
        assert!(budget.take(0).is_some(), "nothing always fits");
    }

    #[test]
    fn who_must_leave_half_to_others_is_refused_first() {
        let budget = Budget::new(100);
        let body = budget.half().take(50).unwrap();
        assert!(budget.half().take(1).is_none());
        let item = budget.take(50).unwrap();
        drop(body);
        assert!(budget.half().take(1).is_none());
        drop(item);
        assert!(budget.half().take(80).is_some(), "alone");
    }
}
