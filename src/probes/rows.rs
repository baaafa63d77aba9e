//! Rows of `probes` and `probe_states`, and how their words are read.

use super::definition::Definition;
use super::outline::{self, paused};
use super::pause::Paused;
use super::{Error, ProbeId};
use crate::accounts::Visible;
use crate::base::{Owner, ProjectId, Timestamp, Uid};
pub(super) use crate::store::columns::{json, maybe_time, time, word};
use crate::store::{self, ReadTx, Row};

/// A probe as it is stored. Its secrets stay sealed, with the context `probe:{uid}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub id: ProbeId,
    pub uid: Uid,
    pub project: ProjectId,
    /// The project's slug.
    pub project_slug: String,
    pub key: String,
    pub name: String,
    pub definition: Definition,
    pub sealed: Option<Vec<u8>>,
    pub owner: Owner,
    pub paused: Option<Paused>,
    /// Whether there is a token with which results are reported.
    pub has_token: bool,
    /// A service that needs only some of its members rings for it.
    pub grouped: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with each change of the definition or the pause.
    pub version: i64,
    /// What it depends on.
    pub parents: Vec<ProbeId>,
}

impl Probe {
    /// Whether it rings by itself.
    pub fn rings(&self) -> bool {
        self.definition.rings.unwrap_or(!self.grouped)
    }

    /// With what its secrets are sealed.
    pub fn context(uid: Uid) -> String {
        format!("probe:{uid}")
    }
}

/// What [`probe`] reads, from 0 on.
pub(super) const PROBES: &str = "
    SELECT probes.id, probes.uid, probes.project_id, projects.slug, probes.key, probes.name, probes.definition,
           probes.sealed, probes.owner, probes.paused_at, probes.paused_by, probes.paused_until,
           probes.push_hash IS NOT NULL, probes.grouped, probes.created_at, probes.updated_at, probes.version,
           (SELECT json_group_array(parent_id) FROM probe_parents WHERE probe_id = probes.id)
    FROM probes CROSS JOIN projects ON projects.id = probes.project_id";

pub(super) fn probe(row: &Row<'_>) -> rusqlite::Result<Probe> {
    Ok(Probe {
        id: ProbeId(row.get(0)?),
        uid: Uid::from_bytes(row.get(1)?),
        project: ProjectId(row.get(2)?),
        project_slug: row.get(3)?,
        key: row.get(4)?,
        name: row.get(5)?,
        definition: json(row, 6)?,
        sealed: row.get(7)?,
        owner: word(row, 8, Owner::parse)?,
        paused: paused(row, 9)?,
        has_token: row.get(12)?,
        grouped: row.get(13)?,
        created_at: time(row, 14)?,
        updated_at: time(row, 15)?,
        version: row.get(16)?,
        parents: json::<Vec<ProbeId>>(row, 17)?,
    })
}

pub(super) fn find(tx: &ReadTx<'_>, id: ProbeId) -> Result<Option<Probe>, store::Error> {
    tx.first(&format!("{PROBES} WHERE probes.id = ?1"), [id.0], probe)
}

/// As [`find_by_key`]; what a newer version wrote is told apart from a fault, to those who may know of it.
pub(super) fn find_known(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Option<Probe>, Error> {
    match find_by_key(tx, key) {
        Err(error) if error.is_of_one_row() => Err(match outline::find(tx, visible, key)? {
            Some(_) => Error::Newer(key.to_owned()),
            None => Error::KeyTaken(key.to_owned()),
        }),
        found => Ok(found?),
    }
}

pub(super) fn find_by_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<Probe>, store::Error> {
    tx.first(&format!("{PROBES} WHERE probes.key = ?1"), [key], probe)
}
