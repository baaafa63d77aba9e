//! How much came to a source, in all and in each five minutes.

use std::time::Duration;

use super::SourceId;
use crate::base::Timestamp;
use crate::store::{Error, WriteTx, params};

/// One bar of a plot.
pub const PERIOD: Duration = Duration::from_mins(5);

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub accepted: i64,
    pub duplicates: i64,
    pub refused: i64,
}

/// Adds what came to a source until `at`; `false` where it was removed meanwhile.
///
/// # Errors
/// Where it cannot be written.
pub fn add(tx: &WriteTx<'_>, source: SourceId, at: Timestamp, came: Tally) -> Result<bool, Error> {
    let Tally { accepted, duplicates, refused } = came;
    let known = tx.execute(
        "UPDATE webhook_source_states
         SET accepted = accepted + ?2, duplicates = duplicates + ?3, refused = refused + ?4,
             last_at = iif(?2 > 0, max(coalesce(last_at, 0), ?5), last_at), refused_at = iif(?4 > 0, ?5, refused_at)
         WHERE source_id = ?1",
        params![source.0, accepted, duplicates, refused, at.as_micros()],
    )?;
    if known == 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO webhook_source_points (source_id, at, accepted, duplicates, refused)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (source_id, at) DO UPDATE SET accepted = accepted + excluded.accepted,
             duplicates = duplicates + excluded.duplicates, refused = refused + excluded.refused",
        params![source.0, at.floor_to(PERIOD).as_micros(), accepted, duplicates, refused],
    )?;
    Ok(true)
}
