//! Writing planned work down, calling it off, taking it away.

use super::queries::{find_by_id, find_by_key};
use super::{Draft, Error, LIVE_MAX, Maintenance, Plan};
use crate::base::owned::{Change, Owner};
use crate::base::{Timestamp, Uid};
use crate::incidents::{Incidents, MAINTENANCE};
use crate::store::{self, ReadTx, WriteTx, params};

/// How much of it is called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// What takes place now; a schedule goes on.
    ThisTime,
    /// And nothing begins again. Not where a file says so.
    ForGood,
}

impl Incidents {
    /// Writes planned work down, or changes what has its key. What takes place now follows at once: longer, shorter,
    /// over other subjects, or over.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field; [`Error::OwnedByFile`] where the page changes what a file says.
    pub fn save_maintenance(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        draft: &Draft,
        by: &str,
    ) -> Result<(Uid, Change), Error> {
        let draft = Draft { subjects: sorted(&draft.subjects), ..draft.clone() };
        let plan = draft.check()?;
        let known = find_by_key(tx, now, &draft.key)?;
        match &known {
            Some(known) if known.draft == draft => return Ok((known.uid, Change::Unchanged)),
            Some(known) => may_change(known, draft.owner)?,
            None => check_is_to_come(&draft, &plan, now)?,
        }
        // What is over and is changed may come again.
        if known.as_ref().is_none_or(|known| known.ended_at.is_some()) {
            check_room(tx)?;
        }
        let (id, uid, change) = if let Some(known) = known {
            (known.id, known.uid, Change::Updated)
        } else {
            let uid = self.entropy.uid(now);
            (insert(tx, now, (uid, by), &draft)?, uid, Change::Created)
        };
        update(tx, id, &draft)?;
        let saved = find_by_id(tx, now, id)?.ok_or(Error::NotFound("maintenance"))?;
        self.settle(tx, now, &saved)?;
        Ok((uid, change))
    }

    /// Ends what takes place now; what still fires and nothing else silences is told.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Over`] where there is nothing left to call off; [`Error::OwnedByFile`].
    pub fn call_off_maintenance(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        uid: Uid,
        called: Called,
    ) -> Result<(), Error> {
        let known = super::find(tx, now, uid)?.ok_or(Error::NotFound("maintenance"))?;
        match (called, known.current, known.ended_at) {
            (_, _, Some(_)) | (Called::ThisTime, None, None) => {
                return Err(Error::Invalid("nothing of it takes place now".to_owned()));
            }
            (Called::ForGood, _, None) => may_change(&known, Owner::Page)?,
            (Called::ThisTime, Some(_), None) => {}
        }
        tx.execute(
            "UPDATE maintenance_occurrences SET ends_at = ?2, called_off = 1
             WHERE maintenance_id = ?1 AND ends_at > ?2",
            params![known.id, now.as_micros()],
        )?;
        if called == Called::ForGood {
            tx.execute(
                "UPDATE maintenances SET next_at = NULL, ended_at = ?2, version = version + 1 WHERE id = ?1",
                params![known.id, now.as_micros()],
            )?;
        }
        tx.touch(MAINTENANCE);
        self.end_silences_of(tx, now, known.id)
    }

    /// Takes it away, with its history; what it silenced and still fires is told.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OwnedByFile`] where `by` is the page and a file says it.
    pub fn remove_maintenance(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        uid: Uid,
        by: Owner,
    ) -> Result<(), Error> {
        let known = super::find(tx, now, uid)?.ok_or(Error::NotFound("maintenance"))?;
        may_change(&known, by)?;
        self.end_silences_of(tx, now, known.id)?;
        tx.execute("DELETE FROM maintenances WHERE id = ?1", [known.id])?;
        tx.touch(MAINTENANCE);
        Ok(())
    }
}

fn sorted(subjects: &[String]) -> Vec<String> {
    let set: std::collections::BTreeSet<_> =
        subjects.iter().map(|subject| subject.trim().to_owned()).collect();
    set.into_iter().collect()
}

fn may_change(known: &Maintenance, by: Owner) -> Result<(), Error> {
    if known.draft.owner.yields_to(by) { Ok(()) } else { Err(Error::OwnedByFile) }
}

/// A file goes on saying what is over; a person who plans the past mistook the date.
fn check_is_to_come(draft: &Draft, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let is_to_come = plan.occurrence_at(now).or_else(|| plan.next_after(now)).is_some();
    if draft.owner == Owner::File || is_to_come {
        return Ok(());
    }
    Err(Error::Invalid("starts_at: all of it lies in the past: look at the date".to_owned()))
}

fn check_room(tx: &ReadTx<'_>) -> Result<(), Error> {
    let live: i64 =
        tx.one("SELECT count(*) FROM maintenances WHERE ended_at IS NULL", [], |row| row.get(0))?;
    if live >= LIVE_MAX {
        let cure = "call off what is not needed, or cover more with one";
        return Err(Error::Invalid(format!("{LIVE_MAX} maintenances are planned already: {cure}")));
    }
    Ok(())
}

fn insert(
    tx: &WriteTx<'_>,
    now: Timestamp,
    (uid, by): (Uid, &str),
    draft: &Draft,
) -> Result<i64, store::Error> {
    tx.insert(
        "INSERT INTO maintenances (uid, key, title, starts_at, duration_s, time_zone, owner, created_by, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            uid.as_bytes(),
            draft.key,
            draft.title,
            draft.starts_at.as_micros(),
            draft.duration_s,
            draft.time_zone,
            draft.owner.as_str(),
            by,
            now.as_micros(),
        ],
    )
}

fn update(tx: &WriteTx<'_>, id: i64, draft: &Draft) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE maintenances SET project_id = ?2, title = ?3, message = ?4, starts_at = ?5, ends_at = ?6,
                duration_s = ?7, schedule = ?8, time_zone = ?9, is_public = ?10, owner = ?11, ended_at = NULL,
                version = version + 1
         WHERE id = ?1",
        params![
            id,
            draft.project.map(|project| project.0),
            draft.title,
            draft.message,
            draft.starts_at.as_micros(),
            draft.ends_at.map(Timestamp::as_micros),
            draft.duration_s,
            draft.schedule,
            draft.time_zone,
            draft.is_public,
            draft.owner.as_str(),
        ],
    )?;
    tx.execute("DELETE FROM maintenance_subjects WHERE maintenance_id = ?1", [id])?;
    for subject in &draft.subjects {
        tx.execute(
            "INSERT INTO maintenance_subjects (maintenance_id, key) VALUES (?1, ?2)",
            params![id, subject],
        )?;
    }
    tx.touch(MAINTENANCE);
    Ok(())
}
