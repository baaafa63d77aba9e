//! For tests: rows as they lie after an event was taken in.

use super::secrets::SourceSecrets;
use super::{DeliveryId, DestinationId, Payload, Source, SourceId, order};
use crate::base::seal::Sealer;
use crate::base::{Entropy, ProjectId, Secret, Timestamp};
use crate::store::columns::uid;
use crate::store::{Error, WriteTx, params};

/// Of the project that a first start makes.
pub(crate) const SHOP: ProjectId = ProjectId(1);

pub(crate) struct Laid {
    pub(crate) entropy: Entropy,
    pub(crate) sealer: Sealer,
    pub(crate) now: Timestamp,
}

/// Where an event goes, and with what.
pub(crate) struct Event<'e> {
    pub(crate) source: SourceId,
    pub(crate) destination: DestinationId,
    pub(crate) order_key: Option<&'e str>,
    pub(crate) payload: &'e Payload,
    /// As the row says; of a large one, that need not be there.
    pub(crate) body_bytes: Option<usize>,
}

impl Laid {
    pub(crate) fn source(&self, tx: &WriteTx<'_>, key: &str, definition: &str) -> Result<SourceId, Error> {
        let (uid, now) = (self.entropy.uid(self.now), self.now.as_micros());
        tx.insert(
            "INSERT INTO webhook_sources (uid, project_id, key, name, provider, definition, owner, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?3, 'generic', ?4, 'file', ?5, ?5)",
            params![uid.as_bytes(), SHOP.0, key, definition, now],
        )
        .map(SourceId)
    }

    /// The secret by which a source is believed.
    pub(crate) fn secret(&self, tx: &WriteTx<'_>, source: SourceId, secret: &str) -> Result<(), Error> {
        let uid = tx.one("SELECT uid FROM webhook_sources WHERE id = ?1", [source.0], |row| uid(row, 0))?;
        let secrets = SourceSecrets::default().replaced(&[Secret::new(secret)], self.now);
        let sealed = self.sealer.seal(&self.entropy, &secrets.written(), &Source::context(uid));
        let sealed = sealed.map_err(|error| Error::Refused(error.to_string().into()))?;
        tx.execute("UPDATE webhook_sources SET sealed = ?2 WHERE id = ?1", params![source.0, sealed])?;
        Ok(())
    }

    pub(crate) fn destination(
        &self,
        tx: &WriteTx<'_>,
        (source, owner): (SourceId, &str),
        key: &str,
        definition: &str,
    ) -> Result<DestinationId, Error> {
        let (uid, now) = (self.entropy.uid(self.now), self.now.as_micros());
        tx.insert(
            "INSERT INTO webhook_destinations
                 (uid, source_id, project_id, key, name, definition, owner, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?7)",
            params![uid.as_bytes(), source.0, SHOP.0, key, definition, owner, now],
        )
        .map(DestinationId)
    }

    /// A request with its payload, and its one delivery.
    pub(crate) fn event(&self, tx: &WriteTx<'_>, event: &Event<'_>) -> Result<DeliveryId, Error> {
        let (uid, now) = (self.entropy.uid(self.now), self.now.as_micros());
        let bytes = event.body_bytes.unwrap_or(event.payload.body.len());
        let request = tx.insert(
            "INSERT INTO webhook_requests
                 (uid, source_id, project_id, received_at, event_id, event_type, order_key, body_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, 'test', ?6, ?7)",
            params![
                uid.as_bytes(),
                event.source.0,
                SHOP.0,
                now,
                uid.to_string(),
                event.order_key,
                i64::try_from(bytes).unwrap_or(i64::MAX)
            ],
        )?;
        let sealed = event.payload.seal(&self.sealer, &self.entropy, uid);
        let sealed = sealed.map_err(|error| Error::Refused(error.to_string().into()))?;
        tx.insert(
            "INSERT INTO webhook_payloads (request_id, payload) VALUES (?1, ?2)",
            params![request, sealed],
        )?;
        let due = order::turn(tx, event.destination, event.order_key, None, self.now)?;
        let uid = self.entropy.uid(self.now);
        tx.touch(super::WEBHOOK_DELIVERIES);
        tx.insert(
            "INSERT INTO webhook_deliveries
                 (uid, request_id, destination_id, source_id, project_id, status, order_key, due_at, began_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, ?8)",
            params![
                uid.as_bytes(),
                request,
                event.destination.0,
                event.source.0,
                SHOP.0,
                event.order_key,
                due.map(Timestamp::as_micros),
                now
            ],
        )
        .map(DeliveryId)
    }
}
