//! Rows as they lie once an event was taken in and something became of it.

use super::*;
use crate::store::params;

/// A request with one delivery.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) source: SourceId,
    pub(super) destination: DestinationId,
    pub(super) project: ProjectId,
    pub(super) event_type: &'static str,
    pub(super) status: DeliveryStatus,
    pub(super) received_at: Timestamp,
    pub(super) is_settled: bool,
    pub(super) has_payload: bool,
    pub(super) order_key: Option<&'static str>,
}

impl Row {
    pub(super) fn lay(&self, tx: &WriteTx<'_>) -> Result<DeliveryId, crate::store::Error> {
        let at = self.received_at.as_micros();
        let request = tx.insert(
            "INSERT INTO webhook_requests (uid, source_id, project_id, received_at, event_id, event_type, body_bytes)
             VALUES (randomblob(16), ?1, ?2, ?3, hex(randomblob(8)), ?4, 2)",
            params![self.source.0, self.project.0, at, self.event_type],
        )?;
        tx.execute(
            "INSERT INTO processed_webhook_events (source_id, event_id, request_id, processed_at)
             SELECT source_id, event_id, id, received_at FROM webhook_requests WHERE id = ?1",
            [request],
        )?;
        if self.has_payload {
            tx.execute("INSERT INTO webhook_payloads (request_id, payload) VALUES (?1, x'00')", [request])?;
        }
        let is_due = matches!(self.status, DeliveryStatus::Pending | DeliveryStatus::Failed);
        let is_done = self.status == DeliveryStatus::Completed;
        let id = tx.insert(
            "INSERT INTO webhook_deliveries (uid, request_id, destination_id, source_id, project_id, status, order_key,
                 due_at, began_at, attempts, completed_at, settled_at)
             VALUES (randomblob(16), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?10)",
            params![
                request,
                self.destination.0,
                self.source.0,
                self.project.0,
                self.status.as_str(),
                self.order_key,
                is_due.then_some(at),
                at,
                is_done.then_some(at),
                self.is_settled.then_some(at),
            ],
        )?;
        tx.execute(
            "INSERT INTO webhook_attempts (delivery_id, number, cause, started_at) VALUES (?1, 1, 'first', ?2)",
            params![id, at],
        )?;
        Ok(DeliveryId(id))
    }
}

impl Bed {
    /// A delivery of the source `stripe`, dead since [`T0`], whose payload is kept.
    pub(super) fn dead(&self, destination: &str) -> Row {
        let destination = self.destination(destination);
        Row {
            source: destination.source,
            destination: destination.id,
            project: destination.project,
            event_type: "invoice.paid",
            status: DeliveryStatus::DeadLetter,
            received_at: T0,
            is_settled: false,
            has_payload: true,
            order_key: None,
        }
    }

    pub(super) fn lay(&self, rows: &[Row]) -> Vec<DeliveryId> {
        let rows = rows.to_vec();
        let lay = move |tx: &WriteTx<'_>| rows.iter().map(|row| row.lay(tx)).collect::<Result<Vec<_>, _>>();
        self.store.write_now("lay", lay).unwrap()
    }
}
