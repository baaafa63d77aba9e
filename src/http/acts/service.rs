//! Making, changing and removing services.

use std::sync::Arc;

use super::named::visible_project;
use super::refused::{Refused, check_seen};
use super::rights::{Act, Thing, check};
use crate::base::owned::{Change, Owner};
use crate::health::services::order::Direction;
use crate::health::services::{Draft, Error, Needs, Service, Settings, queries};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};

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

/// Which service is made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    New,
    /// The one of its key; new where the key is free.
    NewOrKnown,
    /// The one of its key; `seen`: the version that the change was made of, where it is known.
    Known {
        seen: Option<i64>,
    },
}

/// Makes a service, or changes one.
///
/// # Errors
/// Where the caller does not see the project or may not configure it, where something of it is wrong, another has its
/// key, or somebody changed it since.
pub async fn save(
    state: &AppState,
    caller: Caller,
    (wanted, aim): (Wanted, Aim),
) -> Result<(Service, Change), Refused<Error>> {
    let (now, services) = (state.clock.now(), Arc::clone(&state.services));
    let write = move |tx: &WriteTx<'_>| {
        let visible = caller.visible();
        let project = visible_project(tx, &visible, &wanted.project)?;
        check(&caller, Act::Make, Thing::Service, Some(project))?;
        match (aim, queries::find(tx, &visible, &wanted.key)?) {
            (Aim::New | Aim::NewOrKnown, None) => {}
            (Aim::New, Some(known)) => return Err(Error::KeyTaken(known.key).into()),
            (Aim::Known { .. }, None) => return Err(Problem::not_found("service").into()),
            // To another project it goes by a change that names it, not by a key that two thought of.
            (Aim::NewOrKnown, Some(known)) if known.project != project => {
                return Err(Error::KeyTaken(known.key).into());
            }
            (Aim::NewOrKnown, Some(known)) => may_change(&caller, &known)?,
            (Aim::Known { seen }, Some(known)) => {
                may_change(&caller, &known)?;
                check_seen("service", seen, known.version)?;
            }
        }
        let Wanted { key, project: _, name, needs, critical, members, settings, position } = wanted;
        let name = name.unwrap_or_else(|| key.clone());
        let owner = Owner::Page;
        let draft = Draft { key, project, name, needs, critical, members, settings, position, owner };
        let (_, change) = services.save(tx, &caller.by(now), &draft)?;
        let saved = queries::find(tx, &visible, &draft.key)?;
        Ok((saved.ok_or_else(|| Problem::not_found("service"))?, change))
    };
    state.store.write("service.save", write).await
}

fn may_change(caller: &Caller, known: &Service) -> Result<(), Problem> {
    check(caller, Act::Change, Thing::Service, Some(known.project))
}

/// The service of this key, if the caller may do this to it.
///
/// # Errors
/// Where the caller does not see it or may not do it.
pub fn find_to(tx: &ReadTx<'_>, caller: &Caller, act: Act, key: &str) -> Result<Service, Problem> {
    let known = queries::find(tx, &caller.visible(), key)?.ok_or_else(|| Problem::not_found("service"))?;
    check(caller, act, Thing::Service, Some(known.project))?;
    Ok(known)
}

/// Lets a service and its neighbour change places.
///
/// # Errors
/// As [`find_to`].
pub async fn shift(
    state: &AppState,
    caller: Caller,
    key: String,
    direction: Direction,
) -> Result<(), Problem> {
    let (now, services) = (state.clock.now(), Arc::clone(&state.services));
    let write = move |tx: &WriteTx<'_>| {
        find_to(tx, &caller, Act::Change, &key)?;
        Ok::<_, Problem>(services.shift(tx, &caller.by(now), &key, direction)?)
    };
    state.store.write("service.move", write).await
}

/// Removes a service; its members stay.
///
/// # Errors
/// As [`find_to`], and where a file owns it.
pub async fn remove(state: &AppState, caller: Caller, key: String) -> Result<(), Problem> {
    let (now, services) = (state.clock.now(), Arc::clone(&state.services));
    let write = move |tx: &WriteTx<'_>| {
        find_to(tx, &caller, Act::Remove, &key)?;
        Ok::<_, Problem>(services.remove(tx, &caller.by(now), &key, Owner::Page)?)
    };
    state.store.write("service.remove", write).await
}
