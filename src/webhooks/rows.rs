//! Rows of `webhook_sources` and `webhook_destinations`, and how their words are read.

use super::destination::Held;
use super::{Destination, DestinationId, Source, SourceId};
use crate::base::{Owner, ProjectId, Timestamp};
pub(super) use crate::store::columns::{json, maybe_time, time, uid, word};
use crate::store::{Error, ReadTx, Row};

/// What [`source`] reads, from 0 on.
pub(super) const SOURCES: &str = "
    SELECT webhook_sources.id, webhook_sources.uid, webhook_sources.project_id, projects.slug, webhook_sources.key,
           webhook_sources.name, webhook_sources.definition, webhook_sources.sealed, webhook_sources.owner,
           webhook_sources.created_at, webhook_sources.updated_at, webhook_sources.version
    FROM webhook_sources CROSS JOIN projects ON projects.id = webhook_sources.project_id";

/// What [`destination`] reads, from 0 on.
pub(super) const DESTINATIONS: &str = "
    SELECT id, uid, source_id, project_id, key, name, definition, sealed, owner, held_at, held_by, created_at,
           updated_at, version
    FROM webhook_destinations";

pub(super) fn source(row: &Row<'_>) -> rusqlite::Result<Source> {
    Ok(Source {
        id: SourceId(row.get(0)?),
        uid: uid(row, 1)?,
        project: ProjectId(row.get(2)?),
        project_slug: row.get(3)?,
        key: row.get(4)?,
        name: row.get(5)?,
        definition: json(row, 6)?,
        sealed: row.get(7)?,
        owner: word(row, 8, Owner::parse)?,
        created_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        version: row.get(11)?,
    })
}

pub(super) fn destination(row: &Row<'_>) -> rusqlite::Result<Destination> {
    let held = maybe_time(row, 9)?.map(|at: Timestamp| {
        Ok::<_, rusqlite::Error>(Held { at, by: row.get::<_, Option<String>>(10)?.unwrap_or_default() })
    });
    Ok(Destination {
        id: DestinationId(row.get(0)?),
        uid: uid(row, 1)?,
        source: SourceId(row.get(2)?),
        project: ProjectId(row.get(3)?),
        key: row.get(4)?,
        name: row.get(5)?,
        definition: json(row, 6)?,
        sealed: row.get(7)?,
        owner: word(row, 8, Owner::parse)?,
        held: held.transpose()?,
        created_at: time(row, 11)?,
        updated_at: time(row, 12)?,
        version: row.get(13)?,
    })
}

pub(super) fn find_source(tx: &ReadTx<'_>, id: SourceId) -> Result<Option<Source>, Error> {
    tx.first(&format!("{SOURCES} WHERE webhook_sources.id = ?1"), [id.0], source)
}

pub(super) fn find_source_by_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<Source>, Error> {
    tx.first(&format!("{SOURCES} WHERE webhook_sources.key = ?1"), [key], source)
}

pub(super) fn find_destination(tx: &ReadTx<'_>, id: DestinationId) -> Result<Option<Destination>, Error> {
    tx.first(&format!("{DESTINATIONS} WHERE id = ?1"), [id.0], destination)
}

pub(super) fn find_destination_by_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<Destination>, Error> {
    tx.first(&format!("{DESTINATIONS} WHERE key = ?1"), [key], destination)
}

/// In the order in which they were made; a source has only so many.
pub(super) fn destinations_of(tx: &ReadTx<'_>, source: SourceId) -> Result<Vec<Destination>, Error> {
    tx.all(
        &format!("{DESTINATIONS} INDEXED BY webhook_destinations_by_source WHERE source_id = ?1 ORDER BY id"),
        [source.0],
        destination,
    )
}
