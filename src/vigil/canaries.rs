//! Which canaries are known to answer. Those that never did may be behind a wall; the silence of the others is believed.

use crate::base::Timestamp;
use crate::store::{Error, ReadTx, WriteTx, params};

/// Whether one of just these canaries ever answered.
pub fn ever_answered(tx: &ReadTx<'_>, canaries: &[String]) -> Result<bool, Error> {
    tx.one("SELECT EXISTS (SELECT 1 FROM canaries WHERE addresses = ?1)", [addresses(canaries)], |row| {
        row.get(0)
    })
}

/// Notes that one of these canaries answered; of others that did nothing is known any more.
pub fn note_answer(tx: &WriteTx<'_>, now: Timestamp, canaries: &[String]) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO canaries (id, addresses, answered_at) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET addresses = excluded.addresses, answered_at = excluded.answered_at
         WHERE addresses <> excluded.addresses",
        params![addresses(canaries), now.as_micros()],
    )?;
    Ok(())
}

/// The same in whatever order they are configured.
fn addresses(canaries: &[String]) -> String {
    let mut sorted: Vec<&str> = canaries.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.join(" ")
}
