//! What callers name: projects, and what planned work covers.

use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::health::services::subjects::{Unnamed, keys_of};
use crate::http::Problem;
use crate::http::auth::find_project;
use crate::store::ReadTx;

/// The project that a caller names by slug or number.
pub(super) fn visible_project(tx: &ReadTx<'_>, visible: &Visible, named: &str) -> Result<ProjectId, Problem> {
    Ok(find_project(tx, visible, named)?.id)
}

/// As [`keys_of`], for all that a caller names.
///
/// # Errors
/// Where there is no such thing in the project.
pub(super) fn subjects(
    tx: &ReadTx<'_>,
    visible: &Visible,
    project: Option<ProjectId>,
    names: &[String],
) -> Result<Vec<String>, Problem> {
    let mut keys = Vec::new();
    for name in names {
        keys.extend(keys_of(tx, visible, project, name).map_err(|error| match error {
            Unnamed::Store(error) => error.into(),
            Unnamed::Missing { .. } | Unnamed::Unknown(_) => {
                Problem::bad_request(format!("Subjects: {error}."))
            }
        })?);
    }
    Ok(keys)
}
