//! Which heartbeat a ping means, made or changed where the ping may.

use std::time::Duration;

use super::ping::{Ping, Taken, Target};
use super::rows::{self, Heartbeat};
use super::save::{self, Change, Draft, Error};
use super::{Definition, HeartbeatId, Owner};
use crate::accounts::By;
use crate::base::{ProjectId, Timestamp};
use crate::incidents::Incidents;
use crate::resilience::{Admission, Limiter, Quota};
use crate::store::{self, ReadTx, WriteTx};

/// Heartbeats of one project that pings and check-ins may make: a slug with a number in it must not take the room of
/// people and of other projects.
const MADE_MAX: u32 = 1_000;
/// Made and changed, of one project. A deploy may bring every schedule of a team at once; a loop is slowed.
const CHANGES_MAX: Quota = Quota::new(120, Duration::from_mins(1));
/// Projects whose changes are counted apart.
const PROJECTS_MAX: usize = 1_000;

/// What pings made and changed lately. A batch that is taken back still counts: this only ever refuses more.
pub(super) struct Changes(Limiter<ProjectId>);

impl Default for Changes {
    fn default() -> Self {
        Self(Limiter::new(PROJECTS_MAX))
    }
}

impl Changes {
    fn admit(&self, project: ProjectId, now: Timestamp) -> bool {
        matches!(self.0.admit(&project, CHANGES_MAX, now, 1), Admission::Admitted { .. })
    }
}

/// The heartbeat that a ping names, and what becomes of the ping if it is still there. One that is known is heard though
/// it may not be changed now: a later ping changes it.
pub(super) fn follow(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    changes: &Changes,
    ping: &Ping,
) -> Result<(Taken, Option<HeartbeatId>), Error> {
    let (project, slug) = match &ping.target {
        Target::Known(id) => return Ok((Taken::Recorded, Some(*id))),
        Target::Create { project, slug } | Target::Upsert { project, slug, .. } => (*project, slug),
    };
    let known = rows::find_by_slug(tx, project, slug.as_str())?;
    let as_it_is = |otherwise| match &known {
        Some(known) => (Taken::Recorded, Some(known.id)),
        None => (otherwise, None),
    };
    let Some(draft) = news(&ping.target, known.as_ref()) else { return Ok(as_it_is(Taken::Unknown)) };
    if !changes.admit(project, ping.at) {
        return Ok(as_it_is(Taken::TooFast));
    }
    if known.is_none() && has_made_most(tx, project)? {
        return Ok((Taken::Full, None));
    }
    match save::save(tx, &By::tocsin(ping.at), incidents, &draft) {
        Ok((id, Change::Created)) => Ok((Taken::Created, Some(id))),
        Ok((id, Change::Updated | Change::Unchanged)) => Ok((Taken::Recorded, Some(id))),
        Err(Error::TooMany) => Ok((Taken::Full, None)),
        Err(error) => Err(error),
    }
}

/// What a ping would have the heartbeat be that it names; `None`: as it is, or nothing.
fn news(target: &Target, known: Option<&Heartbeat>) -> Option<Draft> {
    let (project, slug, definition, owner) = match target {
        Target::Create { project, slug } if known.is_none() => {
            (project, slug, Definition::default(), Owner::Ping)
        }
        Target::Known(_) | Target::Create { .. } => return None,
        Target::Upsert { project, slug, definition } => {
            if known.is_some_and(|known| matches!(known.owner, Owner::Page | Owner::File)) {
                return None;
            }
            // Whoever sent it has seen to it that it is right.
            let definition = Definition::try_from((**definition.as_ref()?).clone()).ok()?;
            (project, slug, definition, Owner::Sentry)
        }
    };
    let is_same = known.is_some_and(|known| known.owner == owner && known.definition == definition);
    (!is_same).then(|| Draft { project: *project, slug: slug.clone(), name: None, definition, owner })
}

fn has_made_most(tx: &ReadTx<'_>, project: ProjectId) -> Result<bool, store::Error> {
    tx.one(
        "SELECT count(*) >= ?2 FROM heartbeats WHERE project_id = ?1 AND owner IN ('ping', 'sentry')",
        store::params![project.0, MADE_MAX],
        |row| row.get(0),
    )
}
