//! What claimed deliveries bring: their payloads, opened.

use super::delivery::Claimed;
use super::payload::Payload;
use crate::base::Uid;
use crate::base::seal::Sealer;
use crate::store::{Error, ReadTx};

/// Why there is nothing to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("what it brought is no longer kept: ask the provider to send the event again")]
    Gone,
    #[error("what it brought cannot be read: {0}")]
    Unreadable(String),
}

/// A payload as it lies on disk.
pub struct Sealed {
    request: Uid,
    stored: Option<Vec<u8>>,
}

/// The payloads of `claimed`, in their order.
pub fn read(tx: &ReadTx<'_>, claimed: &[Claimed]) -> Result<Vec<Sealed>, Error> {
    let one = |claimed: &Claimed| {
        let stored = tx.first(
            "SELECT payload FROM webhook_payloads WHERE request_id = ?1",
            [claimed.request],
            |row| row.get(0),
        )?;
        Ok(Sealed { request: claimed.request_uid, stored })
    };
    claimed.iter().map(one).collect()
}

impl Sealed {
    /// # Errors
    /// [`Lost`]: no later attempt will find it either.
    pub fn open(&self, sealer: &Sealer) -> Result<Payload, Lost> {
        let stored = self.stored.as_deref().ok_or(Lost::Gone)?;
        Payload::open(sealer, self.request, stored).map_err(|error| Lost::Unreadable(error.to_string()))
    }
}
