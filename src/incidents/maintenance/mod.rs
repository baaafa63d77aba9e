//! Planned work: for a while what it covers is neither told nor charged.
//!
//! Occurrences are computed ([`plan`]); when one begins it becomes silences of its subjects, so that what still fires
//! at its end is told. People and files write it through [`Incidents::save_maintenance`], the task
//! `incidents.maintenance` begins and ends occurrences, and whoever judges asks [`Covers`].

pub mod plan;

mod keep;
mod save;

mod queries;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

pub use keep::{Kept, is_due};
pub use plan::{Occurrence, Plan};
pub use queries::{active, covers, find, find_by_key, list, purge};
pub use save::Called;

use super::Error;
use super::named::{check_key as check_subject, names};

use crate::base::owned::{Owner, check_key};
use crate::base::text::line;
use crate::base::{Crontab, ProjectId, Timestamp, Uid};

#[cfg(doc)]
use super::Incidents;

/// Planned work as a person or a file writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// By which files name it; the same key again changes it.
    pub key: String,
    /// `None`: every project.
    pub project: Option<ProjectId>,
    /// Keys of signals, such as `probe:7`, with what hangs on them, or their beginning and `*`; none: everything of its
    /// project.
    pub subjects: Vec<String>,
    pub title: String,
    /// For the status page; may be empty.
    pub message: String,
    pub is_public: bool,
    pub starts_at: Timestamp,
    /// Of a schedule: no occurrence begins at or after it.
    pub ends_at: Option<Timestamp>,
    pub duration_s: u32,
    /// Five fields; `None`: once.
    pub schedule: Option<String>,
    /// Such as `Europe/Berlin`; of the schedule, and in which times are shown.
    pub time_zone: String,
    pub owner: Owner,
}

/// Planned work as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    pub id: i64,
    pub uid: Uid,
    pub draft: Draft,
    pub created_by: String,
    pub created_at: Timestamp,
    /// The occurrence that takes place now.
    pub current: Option<Occurrence>,
    /// When the next one begins.
    pub next_at: Option<Timestamp>,
    /// Called off, or nothing more to come.
    pub ended_at: Option<Timestamp>,
    /// Grows with each change by somebody.
    pub version: i64,
}

/// Planned work that takes place now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Active {
    pub id: Uid,
    /// `None`: every project.
    pub project: Option<ProjectId>,
    /// None: everything of its project.
    pub subjects: Vec<String>,
    pub title: String,
    pub message: String,
    pub is_public: bool,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What is covered by planned work at one moment, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covers(Vec<Active>);

/// What is covered now, shared between the task that looks it up and whoever judges. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CoversNow(Arc<RwLock<Covers>>);

/// Planned work that is not over: each may become silences with which every signal is compared.
pub const LIVE_MAX: i64 = 50;
pub const SUBJECTS_MAX: usize = 50;
pub const TITLE_CHARS_MAX: usize = 100;
pub const MESSAGE_CHARS_MAX: usize = 2_000;
const DURATION_MIN_S: u64 = 60;
/// Longer than that is no maintenance: pause it, or silence it.
const ONCE_MAX_S: u64 = 31 * 86_400;
const REPEATED_MAX_S: u64 = 7 * 86_400;

impl Draft {
    /// When it takes place.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field.
    pub fn plan(&self) -> Result<Plan, Error> {
        let zone = crate::base::crontab::parse_zone(&self.time_zone);
        zone.map_err(|bad| invalid(format!("time_zone: {bad}")))?;
        let read = |schedule: &String| Crontab::parse(schedule, &self.time_zone);
        let repeats = self.schedule.as_ref().map(read).transpose();
        let repeats = repeats.map_err(|bad| invalid(format!("schedule: {bad}")))?;
        let duration = std::time::Duration::from_secs(self.duration_s.into());
        Ok(Plan { starts_at: self.starts_at, ends_at: self.ends_at, duration, repeats })
    }

    /// Checks everything that can be known without the store.
    pub(super) fn check(&self) -> Result<Plan, Error> {
        check_key(&self.key).map_err(|bad| invalid(format!("key: {bad}")))?;
        line("title", &self.title, TITLE_CHARS_MAX).map_err(|bad| invalid(bad.to_string()))?;
        if self.message.chars().count() > MESSAGE_CHARS_MAX {
            return Err(invalid(format!("message: use at most {MESSAGE_CHARS_MAX} characters")));
        }
        if self.subjects.len() > SUBJECTS_MAX {
            let cure = "cover more with a prefix such as probe:*, or leave it out to cover the whole project";
            return Err(invalid(format!("subjects: at most {SUBJECTS_MAX}; {cure}")));
        }
        for subject in &self.subjects {
            check_subject(Some(subject))?;
        }
        let plan = self.plan()?;
        check_times(&plan)?;
        Ok(plan)
    }
}

fn check_times(plan: &Plan) -> Result<(), Error> {
    let seconds = plan.duration.as_secs();
    let (longest, days) =
        if plan.repeats.is_some() { (REPEATED_MAX_S, 7) } else { (ONCE_MAX_S, ONCE_MAX_S / 86_400) };
    if !(DURATION_MIN_S..=longest).contains(&seconds) {
        return Err(invalid(format!("duration: it lasts from one minute to {days} days")));
    }
    match (&plan.repeats, plan.ends_at) {
        (None, Some(_)) => {
            return Err(invalid("ends_at: only a schedule has a last day; use the duration".to_owned()));
        }
        (Some(_), Some(end)) if end <= plan.starts_at => {
            return Err(invalid("ends_at: it ends after it starts".to_owned()));
        }
        (Some(crontab), _) if crontab.shortest_pause(plan.starts_at) < plan.duration => {
            return Err(invalid(
                "duration: it would begin again before it is over; make it shorter, or the schedule wider"
                    .to_owned(),
            ));
        }
        (Some(_) | None, _) => {}
    }
    Ok(())
}

fn invalid(text: String) -> Error {
    Error::Invalid(text)
}

impl Covers {
    /// Whether a key of a project is covered.
    pub fn covers(&self, project: ProjectId, key: &str) -> bool {
        self.of(project, key).is_some()
    }

    /// The planned work that covers a key of a project; the one that lasts longest.
    pub fn of(&self, project: ProjectId, key: &str) -> Option<&Active> {
        let covering = self.0.iter().filter(|active| touches(active.project, &active.subjects, project, key));
        covering.max_by_key(|active| active.until)
    }

    pub fn all(&self) -> &[Active] {
        &self.0
    }
}

impl CoversNow {
    pub fn set(&self, covers: Covers) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = covers;
    }

    /// As [`Covers::covers`].
    pub fn covers(&self, project: ProjectId, key: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).covers(project, key)
    }
}

/// Whether planned work on these subjects of a project, or of all, covers a key of the project `of`.
pub fn touches(project: Option<ProjectId>, subjects: &[String], of: ProjectId, key: &str) -> bool {
    project.is_none_or(|own| own == of)
        && (subjects.is_empty() || subjects.iter().any(|subject| names(subject, key)))
}

impl From<Vec<Active>> for Covers {
    fn from(active: Vec<Active>) -> Self {
        Self(active)
    }
}
