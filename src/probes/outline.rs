//! What of a probe is known whatever wrote its definition: a newer version may have, and it can be paused and removed all the
//! same.

use super::rows::{maybe_time, time, word};
use super::{Kind, Owner, Paused, ProbeId};
use crate::accounts::Visible;
use crate::base::{ProjectId, Timestamp};
use crate::store::{Error, ReadTx, Row};

/// A probe without its definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub id: ProbeId,
    pub key: String,
    pub name: String,
    pub project: ProjectId,
    /// The project's slug.
    pub project_slug: String,
    /// The word for its kind, which may be none of ours.
    pub kind_word: String,
    pub owner: Owner,
    pub paused: Option<Paused>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Outline {
    /// `None`: of a kind that this program does not know.
    pub fn kind(&self) -> Option<Kind> {
        Kind::parse(&self.kind_word)
    }
}

/// A probe by its key, among those that the caller may see.
pub fn find(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Option<Outline>, Error> {
    let found = tx.first(&format!("{OUTLINES} WHERE probes.key = ?1"), [key], outline)?;
    Ok(found.filter(|outline| visible.contains(outline.project)))
}

/// A probe by its number, among those that the caller may see.
pub fn find_by_id(tx: &ReadTx<'_>, visible: &Visible, id: ProbeId) -> Result<Option<Outline>, Error> {
    let found = tx.first(&format!("{OUTLINES} WHERE probes.id = ?1"), [id.0], outline)?;
    Ok(found.filter(|outline| visible.contains(outline.project)))
}

const OUTLINES: &str = "
    SELECT probes.id, probes.key, probes.name, probes.project_id, projects.slug, probes.kind, probes.owner,
           probes.paused_at, probes.paused_by, probes.paused_until, probes.created_at, probes.updated_at
    FROM probes CROSS JOIN projects ON projects.id = probes.project_id";

fn outline(row: &Row<'_>) -> rusqlite::Result<Outline> {
    Ok(Outline {
        id: ProbeId(row.get(0)?),
        key: row.get(1)?,
        name: row.get(2)?,
        project: ProjectId(row.get(3)?),
        project_slug: row.get(4)?,
        kind_word: row.get(5)?,
        owner: word(row, 6, Owner::parse)?,
        paused: paused(row, 7)?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
    })
}

/// From three columns, of which the first stands at `from`.
pub(super) fn paused(row: &Row<'_>, from: usize) -> rusqlite::Result<Option<Paused>> {
    let Some(at) = maybe_time(row, from)? else { return Ok(None) };
    let by = row.get::<_, Option<String>>(from + 1)?.unwrap_or_default();
    Ok(Some(Paused { at, by, until: maybe_time(row, from + 2)? }))
}
