//! The bound on new issues: a sender whose every error looks new must not grow the database without end.
//!
//! Each project may get so many issues an hour. What is new beyond is counted in one issue of the day; the same
//! error gets an issue of its own once there is room again.

use super::grouping::{Grouping, GroupingReason};
use super::head::Warning;
use super::incoming::Incoming;
use super::rows::day_of;
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, WriteTx, params};

/// Stands where the algorithm of a group stands: these events have nothing in common.
pub(super) const ALGORITHM: &str = "other:1";

/// Whether `project` may have one more issue in the hour of `now`; counts it if so.
pub(super) fn admit(
    tx: &WriteTx<'_>,
    project: ProjectId,
    now: Timestamp,
    per_hour: u32,
) -> Result<bool, Error> {
    let counted = tx.execute(
        "INSERT INTO issue_births (project_id, hour, quantity) VALUES (?1, ?2, 1)
         ON CONFLICT (project_id, hour) DO UPDATE SET quantity = quantity + 1 WHERE quantity < ?3",
        params![project.0, now.as_secs() / 3600, per_hour],
    )?;
    Ok(counted > 0)
}

/// Forgets the counts of hours before `before`, at most `limit`.
pub(super) fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM issue_births WHERE (project_id, hour) IN (
             SELECT project_id, hour FROM issue_births WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        params![before.as_secs() / 3600, limit],
    )
}

/// The key of the day's issue for what found no room. No hash of an event's evidence is as regular.
pub(super) fn others_key(now: Timestamp) -> [u8; 16] {
    let mut key = *b"others..\0\0\0\0\0\0\0\0";
    key[8..].copy_from_slice(&day_of(now).to_be_bytes());
    key
}

/// The event that the day's issue is made from, in the place of `event`.
pub(super) fn others(event: &Incoming, per_hour: u32) -> Incoming {
    let reason = GroupingReason::Others { per_hour };
    Incoming {
        title: format!("(other) More than {per_hour} new issues in an hour"),
        culprit: String::new(),
        grouping: Grouping { key: others_key(event.received_at), algorithm: ALGORITHM, reason },
        ..event.clone()
    }
}

/// What an event of such an issue says of itself.
pub(super) fn warning() -> Warning {
    let detail =
        "counted with others: its project had too many new issues in that hour (issues.new_per_hour_max)";
    Warning { path: "issue".into(), detail: detail.into() }
}
