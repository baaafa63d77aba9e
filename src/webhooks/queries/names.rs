//! What numbers are called outside.

use std::collections::HashMap;

use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::store::{Error, ReadTx};
use crate::webhooks::{DESTINATIONS_MAX, DestinationId, SourceId};

/// The keys of sources and destinations, each looked up once.
#[derive(Debug, Default)]
pub struct Names {
    sources: HashMap<SourceId, Option<String>>,
    destinations: HashMap<DestinationId, Option<String>>,
}

impl Names {
    /// `None` for one that was removed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn source(&mut self, tx: &ReadTx<'_>, id: SourceId) -> Result<Option<String>, Error> {
        if let Some(known) = self.sources.get(&id) {
            return Ok(known.clone());
        }
        let found = tx.first("SELECT key FROM webhook_sources WHERE id = ?1", [id.0], |row| row.get(0))?;
        Ok(self.sources.entry(id).insert_entry(found).get().clone())
    }

    /// `None` for one that was removed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn destination(&mut self, tx: &ReadTx<'_>, id: DestinationId) -> Result<Option<String>, Error> {
        if let Some(known) = self.destinations.get(&id) {
            return Ok(known.clone());
        }
        let sql = "SELECT key FROM webhook_destinations WHERE id = ?1";
        let found = tx.first(sql, [id.0], |row| row.get(0))?;
        Ok(self.destinations.entry(id).insert_entry(found).get().clone())
    }
}

/// The keys of the destinations of one source or of all, in their order; without those of archived projects.
///
/// # Errors
/// Where they cannot be read.
pub fn destination_keys(
    tx: &ReadTx<'_>,
    visible: &Visible,
    source: Option<SourceId>,
) -> Result<Vec<String>, Error> {
    let all = tx.all(
        "SELECT webhook_destinations.key, webhook_destinations.source_id, webhook_destinations.project_id
         FROM webhook_destinations CROSS JOIN projects ON projects.id = webhook_destinations.project_id
         WHERE projects.archived_at IS NULL ORDER BY webhook_destinations.key LIMIT ?1",
        [DESTINATIONS_MAX],
        |row| Ok((row.get::<_, String>(0)?, SourceId(row.get(1)?), ProjectId(row.get(2)?))),
    )?;
    let is_asked = |(_, of, project): &(String, SourceId, ProjectId)| {
        visible.contains(*project) && source.is_none_or(|source| source == *of)
    };
    Ok(all.into_iter().filter(is_asked).map(|(key, _, _)| key).collect())
}
