//! What callers name: projects, and what planned work covers.

use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::health::services::{self, queries};
use crate::http::Problem;
use crate::http::auth::find_project;
use crate::store::ReadTx;

/// The project that a caller names by slug or number.
pub(super) fn visible_project(tx: &ReadTx<'_>, visible: &Visible, named: &str) -> Result<ProjectId, Problem> {
    Ok(find_project(tx, visible, named)?.id)
}

/// Keys of signals for what a caller names: `api` a probe, `shop/nightly` a heartbeat, `service:payment` a service with
/// all of its members; a key such as `rate:1`, or its beginning and `*`, as it is.
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
        match (name.strip_prefix("service:"), project) {
            (Some(key), _) if !key.bytes().all(|b| b.is_ascii_digit() || b == b'*') => {
                let service = queries::find(tx, visible, key)?;
                let service = service.filter(|service| project.is_none_or(|own| own == service.project));
                let service = service.ok_or_else(|| {
                    Problem::bad_request(format!("Subjects: there is no service “{key}” in this project."))
                })?;
                keys.push(service.id.signal_key());
                keys.extend(service.members.into_iter().map(|member| member.member));
            }
            (None, Some(project)) if !name.contains([':', '*']) => {
                keys.push(services::resolve(tx, project, name)?);
            }
            (Some(_) | None, _) => keys.push(name.clone()),
        }
    }
    Ok(keys)
}
