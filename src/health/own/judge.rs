//! What of a look is trouble. Pure: bounds, hysteresis and words.

use std::collections::BTreeMap;
use std::time::Duration;

use super::look::{Disk, Look, Proof};
use crate::base::figures::bytes;
use crate::base::{Severity, Timestamp};

/// A condition of tocsin itself that can fire and be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// What came in waits too long to be written, or was refused.
    Queue,
    /// Messages do not go out.
    Outbox,
    Disk,
    /// The byte budget is used up, and letting go does not make room in time.
    Budget,
    /// The database is damaged, or commits fail, and not because the disk is full.
    Commits,
    /// A write took very long.
    Latency,
}

/// Trouble that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub severity: Severity,
    pub summary: String,
    pub since: Timestamp,
}

/// What holds now.
pub type Standing = BTreeMap<Trouble, Bad>;

/// Every limit twice: trouble begins at the first and is over below the second, so that a value at the border is
/// one incident.
struct Bounds<T> {
    begins: T,
    over: T,
}

/// A healthy writer answers in milliseconds; SDKs give up after a few seconds.
const QUEUE_AGE: Bounds<Duration> = Bounds { begins: Duration::from_secs(5), over: Duration::from_secs(1) };
/// Past the first retries and the second way; somebody should look.
const OUTBOX_AGE: Bounds<Duration> = Bounds { begins: Duration::from_mins(10), over: Duration::from_mins(5) };
/// A sync to a working disk takes milliseconds.
const BATCH_TIME: Bounds<Duration> =
    Bounds { begins: Duration::from_secs(1), over: Duration::from_millis(500) };
/// Wall clock and passed time may differ by this between two looks: a time server corrects by less.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(30);

/// Room that is too little. A share of the disk, but never more than an ordinary product fills in weeks, and at
/// least what a restart, a backup and the log need; on a very small disk a tenth or a twentieth.
struct Room {
    share: u64,
    at_most: u64,
    at_least: u64,
    small_share: u64,
}

const MB: u64 = 1_000_000;
const LOW: Room = Room { share: 20, at_most: 5_000 * MB, at_least: 500 * MB, small_share: 10 };
const CRITICAL: Room = Room { share: 100, at_most: 1_000 * MB, at_least: 100 * MB, small_share: 20 };

impl Trouble {
    pub const ALL: [Self; 6] =
        [Self::Queue, Self::Outbox, Self::Disk, Self::Budget, Self::Commits, Self::Latency];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Outbox => "outbox",
            Self::Disk => "disk",
            Self::Budget => "budget",
            Self::Commits => "commits",
            Self::Latency => "latency",
        }
    }

    /// The key of its incident.
    pub fn key(self) -> String {
        format!("self:{}", self.as_str())
    }
}

/// That somebody set the wall clock.
pub const CLOCK_KEY: &str = "self:clock";

/// The keys of whatever tocsin tells of itself.
pub fn keys() -> impl Iterator<Item = String> {
    Trouble::ALL.into_iter().map(Trouble::key).chain(std::iter::once(CLOCK_KEY.to_owned()))
}

/// The troubles of a look; `before` holds those of the look before.
pub fn judge(look: &Look, before: &Standing) -> Vec<(Trouble, Bad)> {
    let judged = |trouble: Trouble| {
        let was_bad = before.contains_key(&trouble);
        let found = match trouble {
            Trouble::Queue => queue(look, was_bad),
            Trouble::Outbox => outbox(look, was_bad),
            Trouble::Disk => disk(look, was_bad),
            Trouble::Budget => budget(look),
            Trouble::Commits => commits(look),
            Trouble::Latency => latency(look, was_bad),
        };
        found.map(|bad| (trouble, bad))
    };
    Trouble::ALL.into_iter().filter_map(judged).collect()
}

/// By how much somebody set the wall clock between two looks, where it is more than small corrections.
pub fn clock_step(before: (Timestamp, Duration), now: (Timestamp, Duration)) -> Option<String> {
    let expected = before.0 + now.1.saturating_sub(before.1);
    let (ahead, behind) = (now.0.since(expected), expected.since(now.0));
    let (by, direction) = if ahead > behind { (ahead, "forward") } else { (behind, "back") };
    (by > CLOCK_STEP_MAX).then(|| {
        let by = span(by);
        format!("The clock of this machine jumped {by} {direction} (set by hand, or the machine slept)")
    })
}

fn queue(look: &Look, was_bad: bool) -> Option<Bad> {
    let (age, refused) = match &look.proof {
        Proof::Committed(took) => (*took, 0),
        Proof::Silent(waited) => (*waited, 0),
        Proof::Refused => (Duration::ZERO, 1),
        Proof::DiskFull | Proof::Failed(_) => (Duration::ZERO, 0),
    };
    let (age, refused) = (age.max(look.lane_age), look.refused + refused);
    if refused > 0 {
        let summary = format!("tocsin refuses what comes in: the write queue is full ({refused} refused)");
        return Some(bad(Severity::High, summary, look.at));
    }
    let summary = || format!("Writes wait {} before they are on disk", span(age));
    is_over(age, &QUEUE_AGE, was_bad).then(|| bad(Severity::High, summary(), look.at - age))
}

fn outbox(look: &Look, was_bad: bool) -> Option<Bad> {
    let outbox = look.outbox.as_ref().filter(|outbox| outbox.channels_ready + outbox.channels_off > 0)?;
    let oldest = outbox.oldest?;
    let age = look.at.since(oldest);
    let summary = || format!("{} messages do not go out, the oldest for {}", outbox.pending, span(age));
    // While tocsin was off nothing could go out: what waited then gets its time from the start on.
    is_over(age.min(look.passed), &OUTBOX_AGE, was_bad).then(|| bad(Severity::High, summary(), oldest))
}

fn disk(look: &Look, was_bad: bool) -> Option<Bad> {
    if look.reserve_gone || look.disk_full > 0 || look.proof == Proof::DiskFull {
        let summary =
            "The disk is full: nothing more is stored until space is freed where the data folder lies"
                .to_owned();
        return Some(bad(Severity::Critical, summary, look.at));
    }
    let Disk { free_bytes, total_bytes } = look.disk?;
    let summary =
        || format!("{} of {} are free on the disk of the data folder", bytes(free_bytes), bytes(total_bytes));
    let below = |room: &Room| {
        let bound = room.of(total_bytes);
        // A tenth more has to be free before it counts as well again.
        free_bytes < if was_bad { bound + bound / 10 } else { bound }
    };
    if below(&CRITICAL) {
        return Some(bad(Severity::Critical, format!("Almost no room: {}", summary()), look.at));
    }
    below(&LOW).then(|| bad(Severity::High, format!("Little room: {}", summary()), look.at))
}

fn budget(look: &Look) -> Option<Bad> {
    let summary = "The byte budget is used up: what comes in is refused until there is room again, or \
                   retention.max_gb is raised";
    look.over_budget.then(|| bad(Severity::Critical, summary.to_owned(), look.at))
}

fn commits(look: &Look) -> Option<Bad> {
    if let Some(damage) = &look.damage {
        return Some(bad(Severity::Critical, format!("Part of what is stored is lost: {damage}"), look.at));
    }
    let why = match &look.proof {
        Proof::Failed(why) => why.as_str(),
        Proof::Committed(_) | Proof::Refused | Proof::DiskFull | Proof::Silent(_)
            if look.commits_failed > 0 =>
        {
            "the log has the reason"
        }
        Proof::Committed(_) | Proof::Refused | Proof::DiskFull | Proof::Silent(_) => return None,
    };
    Some(bad(Severity::Critical, format!("Writing to the database fails: {why}"), look.at))
}

fn latency(look: &Look, was_bad: bool) -> Option<Bad> {
    // The first commits read the log and fill an empty cache: they say nothing about the disk at work.
    let slowest = if look.is_first { Duration::ZERO } else { look.slowest_batch };
    let summary = || format!("A write took {}: the disk is slow or busy", span(slowest));
    is_over(slowest, &BATCH_TIME, was_bad).then(|| bad(Severity::High, summary(), look.at - slowest))
}

impl Room {
    fn of(&self, total_bytes: u64) -> u64 {
        let usual = (total_bytes / self.share).min(self.at_most).max(self.at_least);
        usual.min(total_bytes / self.small_share)
    }
}

fn is_over(value: Duration, bounds: &Bounds<Duration>, was_bad: bool) -> bool {
    if was_bad { value >= bounds.over } else { value >= bounds.begins }
}

fn bad(severity: Severity, summary: String, since: Timestamp) -> Bad {
    Bad { severity, summary, since }
}

/// A time as people say it.
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
pub(super) mod tests;
