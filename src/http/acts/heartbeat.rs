//! Making, changing, pausing and removing heartbeats, and their addresses, for pages and the JSON API.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::refused::{Refused, check_seen};
use super::rights::{self, Act, Thing};
use crate::base::ProjectId;
use crate::heartbeats::save::{self, Draft};
use crate::heartbeats::{Definition, Heartbeat, Owner, Slug, Written, keys, queries};
use crate::http::auth::{Caller, find_project};
use crate::http::problem::sentence;
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};

/// A heartbeat that somebody wants, in their words.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Slug or number.
    pub project: String,
    /// `None`: made of the name.
    pub slug: Option<String>,
    pub name: Option<String>,
    pub definition: Written,
}

/// What is done to those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Pause,
    Resume,
    /// A new address to ping; the one before leads nowhere from now on.
    RenewAddress,
    Remove,
}

impl Step {
    const fn act(self) -> Act {
        match self {
            Self::Pause => Act::Pause,
            Self::Resume => Act::Resume,
            Self::RenewAddress => Act::RenewAddress,
            Self::Remove => Act::Remove,
        }
    }
}

/// Makes a heartbeat.
///
/// # Errors
/// Where the caller does not see the project or may not change it, where the slug is taken, or something of it is wrong.
pub async fn create(state: &AppState, caller: Caller, wanted: Wanted) -> Result<Heartbeat, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    let (slug, name) = names(&wanted)?;
    let definition = checked(wanted.definition)?;
    let create = move |tx: &WriteTx<'_>| {
        let project = find_project(tx, &caller.visible(), &wanted.project)?.id;
        check(&caller, Act::Make, project)?;
        let draft = Draft { project, slug, name, definition, owner: Owner::Page };
        let id = save::create_new(tx, &caller.by(now), &incidents, &draft)?;
        queries::find(tx, id)?.ok_or_else(|| Problem::not_found("heartbeat"))
    };
    state.store.write("heartbeat.create", create).await
}

/// Changes the heartbeat that `named` names by its id, or as `project/slug`. `seen`: the version that the change was
/// made of, where it is known.
///
/// # Errors
/// Where the caller does not see it or may not change it, the change is wrong, or somebody changed it since.
pub async fn change(
    state: &AppState,
    caller: Caller,
    (named, seen): (String, Option<i64>),
    draft: impl FnOnce(&Heartbeat) -> Result<Draft, Problem> + Send + 'static,
) -> Result<Heartbeat, Refused<save::Error>> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    let write = move |tx: &WriteTx<'_>| {
        let known = find_to(tx, &caller, Act::Change, &named)?;
        check_seen("heartbeat", seen, known.version)?;
        let (id, _) = save::save(tx, &caller.by(now), &incidents, &draft(&known)?)?;
        queries::find(tx, id)?.ok_or_else(|| Problem::not_found("heartbeat").into())
    };
    state.store.write("heartbeat.change", write).await
}

/// Does something to every heartbeat that is named, or to none; returns those that are still there.
///
/// # Errors
/// Where the caller does not see one or may not do it, and where a file owns what is to be removed.
pub async fn act(
    state: &AppState,
    caller: Caller,
    named: Vec<String>,
    step: Step,
) -> Result<Vec<Heartbeat>, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    let write = move |tx: &WriteTx<'_>| {
        let (by, mut left) = (caller.by(now), Vec::new());
        for name in &named {
            let id = find_to(tx, &caller, step.act(), name)?.id;
            match step {
                Step::Pause => save::pause(tx, &by, &incidents, id)?,
                Step::Resume => save::resume(tx, &by, &incidents, id)?,
                Step::RenewAddress => save::renew_address(tx, &by, &incidents, id)?,
                Step::Remove => save::remove(tx, &by, &incidents, id, Owner::Page)?,
            }
            left.extend(queries::find(tx, id)?);
        }
        Ok::<_, Problem>(left)
    };
    state.store.write("heartbeat.act", write).await
}

/// The ping key of a project, and of a new one where `renew`.
///
/// # Errors
/// Where the caller does not see the project or may not change it.
pub async fn ping_key(
    state: &AppState,
    caller: Caller,
    project: String,
    renew: bool,
) -> Result<String, Problem> {
    let (now, entropy) = (state.clock.now(), state.entropy.clone());
    let write = move |tx: &WriteTx<'_>| {
        let project: ProjectId = find_project(tx, &caller.visible(), &project)?.id;
        check(&caller, Act::SeeAddress, project)?;
        let set = if renew { keys::renew } else { keys::ensure };
        Ok::<_, Problem>(set(tx, &caller.by(now), &entropy, project)?)
    };
    state.store.write("ping_key", write).await
}

/// The heartbeat of this name, if the caller may see it.
pub fn find(tx: &ReadTx<'_>, caller: &Caller, named: &str) -> Result<Heartbeat, Problem> {
    queries::find_named(tx, &caller.visible(), named)?.ok_or_else(|| Problem::not_found("heartbeat"))
}

/// As [`find`], for one to which the caller may do this.
///
/// # Errors
/// As [`find`] and [`rights::check`].
pub fn find_to(tx: &ReadTx<'_>, caller: &Caller, act: Act, named: &str) -> Result<Heartbeat, Problem> {
    let found = find(tx, caller, named)?;
    check(caller, act, found.project)?;
    Ok(found)
}

fn check(caller: &Caller, act: Act, project: ProjectId) -> Result<(), Problem> {
    rights::check(caller, act, Thing::Heartbeat, Some(project))
}

fn names(wanted: &Wanted) -> Result<(Slug, Option<String>), Problem> {
    let slug = match (&wanted.slug, &wanted.name) {
        (Some(slug), _) => slug.parse().map_err(|bad: crate::heartbeats::slug::BadSlug| wrong(&bad))?,
        (None, Some(name)) => Slug::derive(name).ok_or_else(|| {
            Problem::bad_request("Say in `slug` what its address is called: of its name none can be made.")
        })?,
        (None, None) => {
            return Err(Problem::bad_request("Say in `name` what it is called, or in `slug` its address."));
        }
    };
    Ok((slug, wanted.name.clone()))
}

/// What a heartbeat becomes where these members are changed; null puts the default back. A period takes the place of a crontab, and the other way round.
pub fn changed(known: &Heartbeat, members: Map<String, Value>) -> Result<Draft, Problem> {
    let mut written = match serde_json::to_value(&known.definition) {
        Ok(Value::Object(written)) => written,
        Ok(_) | Err(_) => Map::new(),
    };
    let mut name = None;
    let is_given = |field: &str| members.get(field).is_some_and(|value| !value.is_null());
    if is_given("every") {
        written.remove("cron");
        written.remove("zone");
    } else if is_given("cron") {
        written.remove("every");
    }
    for (field, value) in members {
        match (field.as_str(), value) {
            ("name", Value::String(text)) => name = Some(text),
            ("name", _) => return Err(Problem::bad_request("`name` is a text.")),
            (_, Value::Null) => drop(written.remove(&field)),
            (_, value) => drop(written.insert(field, value)),
        }
    }
    let written = serde_json::from_value(Value::Object(written)).map_err(|error| wrong(&error))?;
    let slug = known.slug.parse().map_err(|bad: crate::heartbeats::slug::BadSlug| wrong(&bad))?;
    Ok(Draft { project: known.project, slug, name, definition: checked(written)?, owner: Owner::Page })
}

fn checked(written: Written) -> Result<Definition, Problem> {
    Definition::try_from(written).map_err(|invalid| wrong(&invalid))
}

fn wrong(error: &dyn std::fmt::Display) -> Problem {
    Problem::bad_request(sentence(&error.to_string()))
}
