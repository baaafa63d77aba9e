//! Making, changing and removing services.

use std::sync::Arc;

use super::named::visible_project;
use crate::accounts::access::{Permission, Subject};
use crate::base::owned::{Change, Owner};
use crate::health::services::{Draft, Needs, Service, Settings, queries};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};

/// A service as a caller wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: String,
    /// A slug or number.
    pub project: String,
    /// `None`: the key.
    pub name: Option<String>,
    pub needs: Needs,
    pub critical: bool,
    pub members: Vec<String>,
    pub settings: Settings,
    pub position: Option<u32>,
}

/// Makes a service, or changes the one of its key.
///
/// # Errors
/// Where the caller does not see the project or may not configure it, and where something of it is wrong.
pub async fn save(state: &AppState, caller: Caller, wanted: Wanted) -> Result<(Service, Change), Problem> {
    let (now, services) = (state.clock.now(), Arc::clone(&state.services));
    state
        .store
        .write("service.save", move |tx| {
            let visible = caller.visible();
            let project = visible_project(tx, &visible, &wanted.project)?;
            caller.may(Permission::Configure, Subject::Project(project))?;
            if let Some(known) = queries::find(tx, &visible, &wanted.key)? {
                caller.may(Permission::Configure, Subject::Project(known.project))?;
            }
            let Wanted { key, project: _, name, needs, critical, members, settings, position } = wanted;
            let name = name.unwrap_or_else(|| key.clone());
            let owner = Owner::Page;
            let draft = Draft { key, project, name, needs, critical, members, settings, position, owner };
            let (_, change) = services.save(tx, &caller.by(now), &draft)?;
            let saved = queries::find(tx, &visible, &draft.key)?;
            Ok((saved.ok_or_else(|| Problem::not_found("service"))?, change))
        })
        .await
}

/// Removes a service; its members stay.
///
/// # Errors
/// Where the caller does not see it or may not configure its project, and where a file owns it.
pub async fn remove(state: &AppState, caller: Caller, key: String) -> Result<(), Problem> {
    let (now, services) = (state.clock.now(), Arc::clone(&state.services));
    state
        .store
        .write("service.remove", move |tx| {
            let known = queries::find(tx, &caller.visible(), &key)?;
            let known = known.ok_or_else(|| Problem::not_found("service"))?;
            caller.may(Permission::Configure, Subject::Project(known.project))?;
            Ok(services.remove(tx, &caller.by(now), &key, Owner::Page)?)
        })
        .await
}
