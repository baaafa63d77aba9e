//! The breaker of each destination as it is stored, so that a restart does not hammer a sick app.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::DestinationId;
use super::delivery::ERROR_CHARS_MAX;
use crate::base::Timestamp;
use crate::base::text::clip;
use crate::resilience::Breaker;
use crate::store::{Error, ReadTx, WriteTx, params};

/// The breaker of one destination: the loop that sends asks it, the writer stores how it is by then, so that an outcome
/// that is written late never brings an old one back. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedBreaker(Arc<Mutex<Breaker>>);

/// What a breaker did since it was last stored, as far as somebody is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    Opened,
    Closed,
}

/// What was learnt of a destination since it was last written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    pub ok_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    /// Of the last failure.
    pub error: Option<String>,
}

impl SharedBreaker {
    pub fn new(breaker: Breaker) -> Self {
        Self(Arc::new(Mutex::new(breaker)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All breakers that were ever written. What was under way as the one careful call is lost with the process that made
/// it: such a destination may be tried at once. One that cannot be read is closed.
pub fn read_all(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<(DestinationId, Breaker)>, Error> {
    let read = tx.all(
        "SELECT destination_id, breaker FROM webhook_destination_states WHERE breaker <> '{}'",
        [],
        |row| Ok((DestinationId(row.get(0)?), row.get::<_, String>(1)?)),
    )?;
    let revived = |(id, text): (DestinationId, String)| {
        let mut breaker: Breaker = serde_json::from_str(&text).unwrap_or_default();
        breaker.lose_probe(now);
        (id, breaker)
    };
    Ok(read.into_iter().map(revived).collect())
}

/// Writes what was learnt, and the breaker where it changed. Nothing where the destination is gone.
pub(super) fn write(
    tx: &WriteTx<'_>,
    now: Timestamp,
    destination: DestinationId,
    learnt: &Learnt,
    breaker: Option<&Breaker>,
) -> Result<Option<Turned>, Error> {
    tx.execute(
        "INSERT INTO webhook_destination_states (destination_id, last_ok_at, last_failed_at, last_error)
         SELECT id, ?2, ?3, coalesce(?4, '') FROM webhook_destinations WHERE id = ?1
         ON CONFLICT (destination_id) DO UPDATE SET
             last_ok_at = coalesce(excluded.last_ok_at, last_ok_at),
             last_failed_at = coalesce(excluded.last_failed_at, last_failed_at),
             last_error = CASE WHEN ?4 IS NULL THEN last_error ELSE ?4 END",
        params![
            destination.0,
            learnt.ok_at.map(Timestamp::as_micros),
            learnt.failed_at.map(Timestamp::as_micros),
            learnt.error.as_deref().map(|error| clip(error, ERROR_CHARS_MAX)),
        ],
    )?;
    let Some(breaker) = breaker else { return Ok(None) };
    let stored = tx.first(
        "SELECT state FROM webhook_destination_states WHERE destination_id = ?1",
        [destination.0],
        |row| row.get::<_, String>(0),
    )?;
    let Some(stored) = stored else { return Ok(None) };
    let state = breaker.state_name(now);
    let text = serde_json::to_string(breaker).map_err(|error| Error::Refused(error.to_string().into()))?;
    tx.execute(
        "UPDATE webhook_destination_states
         SET breaker = ?2, state = ?3, open_until = ?4, changed_at = CASE WHEN state = ?3 THEN changed_at ELSE ?5 END
         WHERE destination_id = ?1",
        params![
            destination.0,
            text,
            state,
            breaker.open_until().map(Timestamp::as_micros),
            now.as_micros()
        ],
    )?;
    Ok(match (stored.as_str(), state) {
        ("closed", "open" | "half_open") => Some(Turned::Opened),
        ("open" | "half_open", "closed") => Some(Turned::Closed),
        _ => None,
    })
}
