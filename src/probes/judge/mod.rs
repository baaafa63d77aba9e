//! What a probe's readings mean: confirmation, recovery, flapping, blindness. A pure state machine.
//!
//! One bad reading is a suspicion. `bad` bad ones among the last `of` confirm it, and meanwhile the probe is asked again
//! sooner. A blind reading (tocsin itself could not see) proves nothing either way: it neither confirms nor clears.

mod flap;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use flap::Flap;
pub use policy::{Policy, READINGS_MAX, Refused, SaidPolicy};

/// What one run of a probe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Good,
    /// Right, but over its latency budget.
    Slow,
    Bad,
    /// tocsin could not see: its uplink was gone, or it was short of processor or memory itself.
    Blind,
}

/// What is known of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Never seen, or not seen now.
    Unknown,
    Healthy,
    Degraded,
    Unhealthy,
}

/// Everything that is remembered of a probe between readings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judge {
    /// What has been proved last; blindness does not change it.
    proved: Health,
    /// The last readings that saw, the newest in the lowest bit: bad ones, and poor ones (bad or slow).
    bad: u64,
    poor: u64,
    /// Good readings in a row up to the last one.
    good: u8,
    flap: Flap,
    /// When those of the poor readings were taken that still count, the oldest first.
    poor_at: VecDeque<Timestamp>,
    blind_since: Option<Timestamp>,
}

/// What a reading changed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that anybody must hear of.
    Stays,
    /// Suspected: `bad` of `needed` poor readings so far.
    Suspects { poor: u8, needed: u8 },
    /// Confirmed, and back-dated to the first reading of its kind.
    Worse { from: Health, to: Health, since: Timestamp },
    /// Well again, or at least better; or well for the first time.
    Better { from: Health, to: Health },
    /// Trouble that comes and goes too often to be told each time.
    Flaps,
    /// It no longer does.
    Settles { to: Health },
    /// Nothing can be said from here on.
    Blinded,
    /// Seen again; what was proved before still holds until proved otherwise.
    SeesAgain { since: Timestamp },
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            proved: Health::Unknown,
            bad: 0,
            poor: 0,
            good: 0,
            flap: Flap::default(),
            poor_at: VecDeque::new(),
            blind_since: None,
        }
    }
}

impl Judge {
    /// What has been proved last.
    pub const fn proved(&self) -> Health {
        self.proved
    }

    /// What may be said now: unknown while blind.
    pub const fn health(&self) -> Health {
        if self.blind_since.is_some() { Health::Unknown } else { self.proved }
    }

    pub const fn is_flapping(&self) -> bool {
        self.flap.is_flapping()
    }

    /// How long to wait before the next reading: less while the last one disagrees with what is proved.
    pub fn pause(&self, policy: &Policy) -> Duration {
        let agrees = self.last() == self.proved && self.blind_since.is_none();
        if agrees { policy.interval } else { policy.retry_interval }
    }

    /// Takes a reading in.
    pub fn read(&mut self, policy: &Policy, reading: Reading, at: Timestamp) -> Verdict {
        if reading == Reading::Blind {
            return self.go_blind(at);
        }
        let blind_since = self.blind_since.take();
        self.remember(policy, reading, at);
        match (self.prove(policy, at), blind_since) {
            (Verdict::Stays, Some(since)) => Verdict::SeesAgain { since },
            (verdict, _) => verdict,
        }
    }

    fn go_blind(&mut self, at: Timestamp) -> Verdict {
        if self.blind_since.is_some() {
            return Verdict::Stays;
        }
        self.blind_since = Some(at);
        Verdict::Blinded
    }

    /// What the last reading by itself would prove.
    const fn last(&self) -> Health {
        match (self.good, self.bad & 1) {
            (0, 1) => Health::Unhealthy,
            (0, _) if self.poor & 1 == 1 => Health::Degraded,
            (0, _) => Health::Unknown,
            _ => Health::Healthy,
        }
    }

    fn remember(&mut self, policy: &Policy, reading: Reading, at: Timestamp) {
        let is_good = reading == Reading::Good;
        self.bad = (self.bad << 1) | u64::from(reading == Reading::Bad);
        self.poor = (self.poor << 1) | u64::from(!is_good);
        self.good = if is_good { self.good.saturating_add(1) } else { 0 };
        if !is_good {
            self.poor_at.push_back(at);
        }
        let over = self.poor_at.len().saturating_sub(usize::from(policy.counted(self.poor)));
        self.poor_at.drain(..over);
    }

    fn prove(&mut self, policy: &Policy, at: Timestamp) -> Verdict {
        let from = self.proved;
        let to = self.weigh(policy);
        let since = self.poor_at.front().copied().unwrap_or(at);
        self.proved = to;
        if from.is_poor() && !to.is_poor() {
            // What is over must not count towards the next trouble.
            (self.bad, self.poor) = (0, 0);
            self.poor_at.clear();
        }
        let was_flapping = self.flap.is_flapping();
        self.flap.push(to.is_poor());
        match (was_flapping, self.flap.is_flapping()) {
            (false, true) => Verdict::Flaps,
            (true, true) => Verdict::Stays,
            (true, false) => Verdict::Settles { to },
            (false, false) => self.verdict(policy, from, to, since),
        }
    }

    /// What the readings up to now prove.
    fn weigh(&self, policy: &Policy) -> Health {
        if self.proved.is_poor() && self.good >= policy.good {
            Health::Healthy
        } else if policy.counted(self.bad) >= policy.bad {
            Health::Unhealthy
        } else if policy.counted(self.poor) >= policy.bad {
            Health::Degraded
        } else if self.proved == Health::Unknown && self.good > 0 {
            Health::Healthy
        } else {
            self.proved
        }
    }

    fn verdict(&self, policy: &Policy, from: Health, to: Health, since: Timestamp) -> Verdict {
        match (from, to) {
            _ if to > from && to.is_poor() => Verdict::Worse { from, to, since },
            _ if from != to => Verdict::Better { from, to },
            _ if self.good == 0 && !to.is_poor() => {
                Verdict::Suspects { poor: policy.counted(self.poor), needed: policy.bad }
            }
            _ => Verdict::Stays,
        }
    }
}

impl Health {
    pub const fn is_poor(self) -> bool {
        matches!(self, Self::Degraded | Self::Unhealthy)
    }
}
