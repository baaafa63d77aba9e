//! What files of the configuration say of channels and rules. Nobody but `manifest` writes here; it appends the lines of
//! the audit log.

use super::channels::{self, Channel, ChannelOwner, ChannelState, NewChannel, check, overwrite};
use super::rules::{self, RuleChange, RuleKind, RuleParams};
use super::{ChannelId, Error, Incidents, rows};
use crate::base::{Owner, ProjectId, Severity, Timestamp};
use crate::store::{self, ReadTx, WriteTx, params};

/// A rule as it is stored, whoever has the say over it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRule {
    /// `None`: for every project.
    pub project: Option<ProjectId>,
    pub kind: RuleKind,
    pub change: RuleChange,
    pub owner: Owner,
}

/// More than [`RuleKind::ALL`] of every project there can be.
const RULES_MAX: u32 = 10_000;

impl Incidents {
    /// Makes the channel of this name the files'; a new one where there is none. One that a person paused stays paused, a
    /// broken one gets another chance. `known` is the channel that has the name; its kind stays.
    ///
    /// # Errors
    /// As [`Incidents::create_channel`]; [`Error::OwnedElsewhere`] where it comes from the environment.
    pub fn save_channel_of_file(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        known: Option<&Channel>,
        channel: &NewChannel,
    ) -> Result<ChannelId, Error> {
        let Some(known) = known else { return self.create_channel(tx, now, channel) };
        match known.owner {
            ChannelOwner::Environment => return Err(Error::OwnedElsewhere("environment")),
            ChannelOwner::Page | ChannelOwner::File => {}
        }
        check(tx, channel, Some(known.id))?;
        overwrite(tx, known.id, channel)?;
        tx.execute(
            "UPDATE channels SET owner = ?2 WHERE id = ?1",
            params![known.id.0, ChannelOwner::File.as_str()],
        )?;
        if known.state != ChannelState::Paused {
            self.make_ready(tx, now, known.id)?;
        }
        Ok(known.id)
    }

    /// Removes a channel that no file names any more; what it has not sent goes to the next one.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove_channel_of_file(&self, tx: &WriteTx<'_>, now: Timestamp, name: &str) -> Result<(), Error> {
        let known = channels::find_by_name(tx, name)?.ok_or(Error::NotFound("channel"))?;
        self.drop_channel(tx, now, known.id)
    }
}

/// Every rule that somebody changed, those for every project first.
pub fn list_rules(tx: &ReadTx<'_>) -> Result<Vec<StoredRule>, store::Error> {
    let stored = tx.all(
        "SELECT kind, project_id, enabled, severity, threshold, window_s, params, owner FROM rules
         ORDER BY ifnull(project_id, 0), id LIMIT ?1",
        [RULES_MAX],
        |row| {
            let Some(kind) = RuleKind::parse(row.get_ref(0)?.as_str()?) else { return Ok(None) };
            let window_s: Option<u32> = row.get(5)?;
            let severity: Severity = rows::severity(row, 3)?;
            let params = RuleParams::stored(kind, rows::json(row, 6)?);
            Ok(Some(StoredRule {
                project: row.get::<_, Option<i64>>(1)?.map(ProjectId),
                kind,
                change: RuleChange {
                    enabled: row.get(2)?,
                    severity,
                    threshold: row.get(4)?,
                    window: window_s.map(|secs| std::time::Duration::from_secs(u64::from(secs))),
                    params,
                },
                owner: rows::word(row, 7, Owner::parse)?,
            }))
        },
    )?;
    Ok(stored.into_iter().flatten().collect())
}

/// Stores a rule that a file names.
///
/// # Errors
/// As [`rules::change`].
pub fn save_rule(
    tx: &WriteTx<'_>,
    now: Timestamp,
    project: Option<ProjectId>,
    kind: RuleKind,
    change: &RuleChange,
) -> Result<(), Error> {
    rules::write(tx, now, (project, kind), change, Owner::File)
}

/// Forgets a rule that no file names any more, so that the one below it holds again.
pub fn remove_rule(tx: &WriteTx<'_>, project: Option<ProjectId>, kind: RuleKind) -> Result<(), Error> {
    rules::forget(tx, project, kind)
}
