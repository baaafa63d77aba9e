//! Making, changing, pausing and removing heartbeats, for pages and the JSON API.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::accounts::access::{Permission, Subject};
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

/// What is done to one that is there.
#[derive(Clone, Debug)]
pub enum Act {
    /// Members that are given replace what is there; null puts the default back.
    Change(Map<String, Value>),
    Pause,
    Resume,
    Remove,
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
        caller.may(Permission::Configure, Subject::Project(project))?;
        let draft = Draft { project, slug, name, definition, owner: Owner::Page };
        let id = save::create_new(tx, &caller.by(now), &incidents, &draft)?;
        queries::find(tx, id)?.ok_or_else(|| Problem::not_found("heartbeat"))
    };
    state.store.write("heartbeat.create", create).await
}

/// Does something to the heartbeat that `named` names by its id, or as `project/slug`; `None` where it is gone then.
///
/// # Errors
/// Where the caller does not see it or may not change it, or the change is wrong.
pub async fn act(
    state: &AppState,
    caller: Caller,
    named: String,
    act: Act,
) -> Result<Option<Heartbeat>, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    let write = move |tx: &WriteTx<'_>| {
        let known = find(tx, &caller, &named)?;
        let (id, by) = (known.id, caller.by(now));
        let permission = match act {
            Act::Pause | Act::Resume => Permission::Triage,
            Act::Change(_) | Act::Remove => Permission::Configure,
        };
        caller.may(permission, Subject::Project(known.project))?;
        match act {
            Act::Change(members) => {
                save::save(tx, &by, &incidents, &changed(&known, members)?)?;
            }
            Act::Pause => save::pause(tx, &by, &incidents, id)?,
            Act::Resume => save::resume(tx, &by, &incidents, id)?,
            Act::Remove => save::remove(tx, &by, &incidents, id, Owner::Page)?,
        }
        Ok::<_, Problem>(queries::find(tx, id)?)
    };
    state.store.write("heartbeat.change", write).await
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
        caller.may(Permission::Configure, Subject::Project(project))?;
        let set = if renew { keys::renew } else { keys::ensure };
        Ok::<_, Problem>(set(tx, &caller.by(now), &entropy, project)?)
    };
    state.store.write("ping_key", write).await
}

/// The heartbeat of this name, if the caller may see it.
pub fn find(tx: &ReadTx<'_>, caller: &Caller, named: &str) -> Result<Heartbeat, Problem> {
    queries::find_named(tx, &caller.visible(), named)?.ok_or_else(|| Problem::not_found("heartbeat"))
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

/// A definition as it is, with some members changed. A period takes the place of a crontab, and the other way round.
fn changed(known: &Heartbeat, members: Map<String, Value>) -> Result<Draft, Problem> {
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
