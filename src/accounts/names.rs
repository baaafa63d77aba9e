//! Environments and releases, interned per project: domains store the number and show the name.
//!
//! Intake calls [`intern`] on the writer; whatever it remembers of the answers stays true, because names are
//! never renamed or deleted while their project exists.

use std::borrow::Cow;

use serde::Serialize;

use super::Error;
use crate::base::text::clip;
use crate::base::{ProjectId, Timestamp};
use crate::store::{ReadTx, WriteTx, params};

/// An interned name's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NameId(pub i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    Environment,
    Release,
}

/// Stands for every name beyond the limit.
pub const OTHER: &str = "(other)";
/// An environment per customer is a lot; one per request is a mistake that must not grow the database.
pub const ENVIRONMENTS_MAX: i64 = 1_000;
/// Ten releases a day for nearly three years.
pub const RELEASES_MAX: i64 = 10_000;
/// Sentry's own bounds (relay-event-schema): longer names are cut.
pub const ENVIRONMENT_CHARS_MAX: usize = 64;
pub const RELEASE_CHARS_MAX: usize = 200;

/// The number of a name; a new one where it was never seen, that of `(other)` where the project has too many.
/// `None` where nothing is left of the name once it is cleaned.
pub fn intern(
    tx: &WriteTx<'_>,
    project: ProjectId,
    kind: NameKind,
    name: &str,
    now: Timestamp,
) -> Result<Option<NameId>, Error> {
    let name = kind.clean(name);
    if name.is_empty() {
        return Ok(None);
    }
    if let Some(known) = find(tx, project, kind, &name)? {
        return Ok(Some(known));
    }
    if has_room(tx, project, kind)? {
        return insert(tx, project, kind, &name, now).map(Some);
    }
    match find(tx, project, kind, OTHER)? {
        Some(other) => Ok(Some(other)),
        None => insert(tx, project, kind, OTHER, now).map(Some),
    }
}

/// The number of a name that was seen before.
pub fn find(
    tx: &ReadTx<'_>,
    project: ProjectId,
    kind: NameKind,
    name: &str,
) -> Result<Option<NameId>, Error> {
    Ok(tx.first(
        "SELECT id FROM project_names WHERE project_id = ?1 AND kind = ?2 AND name = ?3",
        params![project.0, kind.as_str(), name],
        |row| Ok(NameId(row.get(0)?)),
    )?)
}

impl NameKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Release => "release",
        }
    }

    /// The name without blanks at its ends and without control characters, cut to its bound.
    pub fn clean(self, name: &str) -> Cow<'_, str> {
        let bound = match self {
            Self::Environment => ENVIRONMENT_CHARS_MAX,
            Self::Release => RELEASE_CHARS_MAX,
        };
        let name = name.trim();
        if !name.contains(char::is_control) {
            return clip(name, bound);
        }
        let plain: String = name.chars().filter(|c| !c.is_control()).collect();
        Cow::Owned(clip(plain.trim(), bound).into_owned())
    }
}

/// The project counts its names, so that a flood of new ones costs no count of ten thousand rows each.
fn has_room(tx: &ReadTx<'_>, project: ProjectId, kind: NameKind) -> Result<bool, Error> {
    let count: Option<i64> = match kind {
        NameKind::Environment => {
            tx.first("SELECT environments FROM projects WHERE id = ?1", [project.0], |row| row.get(0))?
        }
        NameKind::Release => {
            tx.first("SELECT releases FROM projects WHERE id = ?1", [project.0], |row| row.get(0))?
        }
    };
    let bound = match kind {
        NameKind::Environment => ENVIRONMENTS_MAX,
        NameKind::Release => RELEASES_MAX,
    };
    Ok(count.ok_or(Error::UnknownProject)? < bound)
}

fn insert(
    tx: &WriteTx<'_>,
    project: ProjectId,
    kind: NameKind,
    name: &str,
    now: Timestamp,
) -> Result<NameId, Error> {
    let id = tx.insert(
        "INSERT INTO project_names (project_id, kind, name, first_seen_at) VALUES (?1, ?2, ?3, ?4)",
        params![project.0, kind.as_str(), name, now.as_micros()],
    )?;
    match kind {
        NameKind::Environment => {
            tx.execute("UPDATE projects SET environments = environments + 1 WHERE id = ?1", [project.0])?
        }
        NameKind::Release => {
            tx.execute("UPDATE projects SET releases = releases + 1 WHERE id = ?1", [project.0])?
        }
    };
    Ok(NameId(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cleaned_name_is_bounded_stays_clean_and_carries_no_control_characters(
            text in "\\PC{0,300}|[\\x00-\\x20a-c]{0,300}",
        ) {
            for kind in [NameKind::Environment, NameKind::Release] {
                let clean = kind.clean(&text);
                prop_assert!(clean.chars().count() <= RELEASE_CHARS_MAX);
                prop_assert!(!clean.contains(char::is_control));
                prop_assert_eq!(kind.clean(&clean), clean.clone());
            }
        }
    }
}
