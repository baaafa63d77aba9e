//! A probe that a newer version of tocsin wrote: what is known of it, and what can be done with it all the same.

use askama::Template;

use super::page::{INCIDENTS, RelatedLine, pause, related};
use super::words::status_badge;
use crate::accounts::access::Decision;
use crate::base::Timestamp;
use crate::http::Problem;
use crate::http::acts::rights::{Act, Thing, decide};
use crate::http::admin::frame::{Frame, Place};
use crate::http::admin::from_file;
use crate::http::admin::incident_words::Badge;
use crate::http::admin::incidents::{IncidentLine, line};
use crate::http::admin::service_words::{ServiceLink, services_of};
use crate::http::admin::wording::When;
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, scope};
use crate::incidents::queries as incidents;
use crate::probes::{Outline, Owner, queries};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "probe_newer.html", config = "src/http/admin/askama.toml")]
pub(super) struct NewerPage {
    frame: Frame,
    key: String,
    name: String,
    project: String,
    /// As the newer version calls it.
    kind: String,
    badge: Badge,
    since: When,
    pause: Option<String>,
    /// Where a file names it; empty where the page changes it.
    file: String,
    may_pause: bool,
    may_remove: bool,
    made: When,
    changed: When,
    children: Vec<RelatedLine>,
    services: Vec<ServiceLink>,
    incidents: Vec<IncidentLine>,
}

pub(super) fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    now: Timestamp,
    probe: &Outline,
) -> Result<NewerPage, Problem> {
    let actor = signed_in.session.actor();
    let (visible, signal) = (actor.visible(), probe.id.signal_key());
    let state = queries::state(tx, probe.id)?.ok_or_else(|| Problem::not_found("probe"))?;
    let mut found = incidents::list_of_key(tx, scope(&visible), &signal, INCIDENTS)?;
    let mut slugs = Slugs::default();
    found.iter_mut().try_for_each(|incident| slugs.name_incident(tx, incident))?;
    let thing = Thing::of_probe(probe.kind());
    let may = |act| decide(&actor, act, thing, Some(probe.project)) == Decision::Allowed;
    Ok(NewerPage {
        key: probe.key.clone(),
        name: probe.name.clone(),
        project: probe.project_slug.clone(),
        kind: probe.kind_word.clone(),
        badge: status_badge(state.status),
        since: When::new(state.since, now),
        pause: probe.paused.as_ref().map(|paused| pause(paused, now)),
        file: from_file::told(tx, probe.owner == Owner::File, "probes", &probe.key)?,
        may_pause: may(Act::Pause),
        may_remove: may(Act::Remove),
        made: When::new(probe.created_at, now),
        changed: When::new(probe.updated_at, now),
        children: queries::children(tx, &visible, probe.id)?.into_iter().map(related).collect(),
        services: services_of(tx, &visible, &signal)?,
        incidents: found.into_iter().map(|incident| line(incident, now)).collect(),
        frame: Frame::load(tx, signed_in, Place::Probes)?,
    })
}
