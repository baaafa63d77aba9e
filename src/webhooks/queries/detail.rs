//! One request, with what it brought and what became of it.

use serde::Serialize;

use crate::accounts::Visible;
use crate::base::seal::Sealer;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Row, params};
use crate::webhooks::accept::RequestId;
use crate::webhooks::payload::{Payload, Unreadable};
use crate::webhooks::rows::{maybe_time, time, uid, word};
use crate::webhooks::{DeliveryStatus, DestinationId, SourceId};

/// A request as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    pub id: RequestId,
    pub uid: Uid,
    pub source: SourceId,
    pub project: ProjectId,
    pub received_at: Timestamp,
    pub event_id: String,
    pub event_type: String,
    pub order_key: Option<String>,
    pub content_type: String,
    pub body_bytes: i64,
    pub address: String,
    /// Which of the secrets verified it then, 0 the newest; `None`: its scheme asks for none.
    pub secret: Option<u32>,
    pub signed_at: Option<Timestamp>,
    /// How often it was sent again.
    pub repeats: i64,
    /// The one that died, of an event that was sent again.
    pub after: Option<RequestId>,
}

/// A delivery of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryLine {
    pub id: i64,
    pub uid: Uid,
    pub destination: DestinationId,
    pub status: DeliveryStatus,
    /// `None`: nothing is to be tried, or an earlier one of its order key is.
    pub due_at: Option<Timestamp>,
    pub began_at: Timestamp,
    pub attempts: i64,
    pub last_attempt_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub last_status: Option<u16>,
    pub error: Option<String>,
    pub settled_at: Option<Timestamp>,
    pub settled_by: Option<String>,
}

/// One try to deliver.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptLine {
    pub number: i64,
    /// `first`, `retry`, `replay` or `probe`.
    pub cause: String,
    pub started_at: Timestamp,
    /// `None`: tocsin ended meanwhile.
    pub duration_us: Option<i64>,
    /// `None`: no answer came.
    pub status: Option<u16>,
    pub error: Option<String>,
    /// What the app answered, where it failed.
    pub answer: Option<String>,
}

/// Of one delivery, the newest.
const ATTEMPTS_MAX: u32 = 100;
const DELIVERIES_MAX: u32 = 100;

const REQUESTS: &str = "
    SELECT id, uid, source_id, project_id, received_at, event_id, event_type, order_key, content_type, body_bytes,
           address, secret, signed_at, repeats, after
    FROM webhook_requests";

/// What [`delivery`] reads, from 0 on.
pub(super) const DELIVERIES: &str = "
    SELECT id, uid, destination_id, status, due_at, began_at, attempts, last_attempt_at, completed_at, last_status,
           error, settled_at, settled_by, request_id, source_id, project_id
    FROM webhook_deliveries";

/// A request by its outside id, among those that the caller may see.
///
/// # Errors
/// Where it cannot be read.
pub fn find_request(tx: &ReadTx<'_>, visible: &Visible, id: Uid) -> Result<Option<Request>, Error> {
    let found = tx.first(&format!("{REQUESTS} WHERE uid = ?1"), [id.as_bytes()], request)?;
    Ok(found.filter(|request| visible.contains(request.project)))
}

/// The requests by which the event was taken before, the newest first: each died.
///
/// # Errors
/// Where they cannot be read.
pub fn requests_after(tx: &ReadTx<'_>, request_: &Request) -> Result<Vec<Request>, Error> {
    const CHAIN_MAX: usize = 20;
    let mut chain = Vec::new();
    let mut next = request_.after;
    while let Some(id) = next.filter(|_| chain.len() < CHAIN_MAX) {
        let Some(found) = tx.first(&format!("{REQUESTS} WHERE id = ?1"), [id.0], request)? else { break };
        next = found.after;
        chain.push(found);
    }
    Ok(chain)
}

/// What became of a request at each destination, in the order in which they were begun.
///
/// # Errors
/// Where it cannot be read.
pub fn deliveries(tx: &ReadTx<'_>, request: RequestId) -> Result<Vec<DeliveryLine>, Error> {
    tx.all(
        &format!(
            "{DELIVERIES} INDEXED BY webhook_deliveries_by_request WHERE request_id = ?1 ORDER BY id LIMIT ?2"
        ),
        params![request.0, DELIVERIES_MAX],
        delivery,
    )
}

/// The attempts of a delivery, the newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn attempts(tx: &ReadTx<'_>, delivery: i64) -> Result<Vec<AttemptLine>, Error> {
    tx.all(
        "SELECT number, cause, started_at, duration_us, status, error, answer
         FROM webhook_attempts INDEXED BY webhook_attempts_by_delivery
         WHERE delivery_id = ?1 ORDER BY number DESC LIMIT ?2",
        params![delivery, ATTEMPTS_MAX],
        |row| {
            Ok(AttemptLine {
                number: row.get(0)?,
                cause: row.get(1)?,
                started_at: time(row, 2)?,
                duration_us: row.get(3)?,
                status: row.get(4)?,
                error: row.get(5)?,
                answer: row.get(6)?,
            })
        },
    )
}

/// What a request brought; `None` where it was let go of, which comes before the request itself goes.
///
/// # Errors
/// Where it cannot be read; within, where it cannot be opened.
pub fn open_payload(
    tx: &ReadTx<'_>,
    sealer: &Sealer,
    request: &Request,
) -> Result<Option<Result<Payload, Unreadable>>, Error> {
    let sql = "SELECT payload FROM webhook_payloads WHERE request_id = ?1";
    let stored = tx.first(sql, [request.id.0], |row| row.get::<_, Vec<u8>>(0))?;
    Ok(stored.map(|stored| Payload::open(sealer, request.uid, &stored)))
}

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryLine> {
    Ok(DeliveryLine {
        id: row.get(0)?,
        uid: uid(row, 1)?,
        destination: DestinationId(row.get(2)?),
        status: word(row, 3, DeliveryStatus::parse)?,
        due_at: maybe_time(row, 4)?,
        began_at: time(row, 5)?,
        attempts: row.get(6)?,
        last_attempt_at: maybe_time(row, 7)?,
        completed_at: maybe_time(row, 8)?,
        last_status: row.get(9)?,
        error: row.get(10)?,
        settled_at: maybe_time(row, 11)?,
        settled_by: row.get(12)?,
    })
}

fn request(row: &Row<'_>) -> rusqlite::Result<Request> {
    Ok(Request {
        id: RequestId(row.get(0)?),
        uid: uid(row, 1)?,
        source: SourceId(row.get(2)?),
        project: ProjectId(row.get(3)?),
        received_at: time(row, 4)?,
        event_id: row.get(5)?,
        event_type: row.get(6)?,
        order_key: row.get(7)?,
        content_type: row.get(8)?,
        body_bytes: row.get(9)?,
        address: row.get(10)?,
        secret: row.get(11)?,
        signed_at: maybe_time(row, 12)?,
        repeats: row.get(13)?,
        after: row.get::<_, Option<i64>>(14)?.map(RequestId),
    })
}
