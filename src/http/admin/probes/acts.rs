//! What is done with probes: paused, resumed, removed, given a new token.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, web};
use askama::Template;

use super::words::exact;
use super::{find, probes_of};
use crate::accounts::access::{Permission, Subject};
use crate::base::{Timestamp, span};
use crate::http::acts::probe as permit;
use crate::http::admin::frame::{Place, page};
use crate::http::admin::{Form, Frame, see_other};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::probes::{Kind, Owner, Probe};
use crate::store::WriteTx;

/// Where results are reported to, shown once.
#[derive(Template)]
#[template(path = "probe_token.html", config = "src/http/admin/askama.toml")]
struct TokenPage {
    frame: Frame,
    address: String,
    every: String,
    name: String,
    key: String,
}

/// What a page can select, twice over.
const KEYS_MAX: usize = 100;
/// A pause that was forgotten ends by itself.
const PAUSE_MAX: Duration = Duration::from_hours(24 * 366);

/// As [`permit::may_change`], for a probe that is there.
pub(super) fn may_change(caller: &Caller, probe: &Probe) -> Result<(), Problem> {
    permit::may_change(caller, probe.project, probe.definition.kind())
}

/// `POST /probes`: `act` is `pause` or `resume`, for every probe whose key stands in `id`.
pub(in crate::http::admin) async fn many(
    state: web::Data<AppState>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let keys: Vec<String> = form.fields.all("id").map(str::to_owned).collect();
    let pauses = match form.text("act") {
        "pause" => true,
        "resume" => false,
        _ => return Err(Problem::bad_request("Say in `act` what is done: pause or resume.")),
    };
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(Problem::bad_request(format!("Select 1 to {KEYS_MAX} probes.")));
    }
    let (caller, probes, now) = (form.caller(), probes_of(&state), state.clock.now());
    state
        .store
        .write("probe.pause", move |tx| {
            for key in keys {
                let probe = find(tx, &caller.visible(), &key)?;
                caller.may(Permission::Triage, Subject::Project(probe.project))?;
                let by = caller.by(now);
                match (pauses, probe.paused.is_some()) {
                    (true, false) => probes.pause(tx, &by, probe.id, None)?,
                    (false, true) => probes.resume(tx, &by, probe.id)?,
                    // Already so; a pause with an end keeps it.
                    (true, true) | (false, false) => {}
                }
            }
            Ok::<_, Problem>(())
        })
        .await?;
    Ok(see_other("/probes"))
}

/// `POST /probes/{key}/pause`: `lasts` is a span, or empty: until somebody resumes it.
pub(in crate::http::admin) async fn pause(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let until = lasting(form.text("lasts"), now)?;
    act(state, &key, form, Permission::Triage, move |(tx, probes, caller), probe| {
        Ok(probes.pause(tx, &caller.by(now), probe.id, until)?)
    })
    .await
}

fn lasting(text: &str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let lasts = span::parse(text).map_err(|bad| Problem::bad_request(format!("{bad}.")))?;
    if lasts.is_zero() || lasts > PAUSE_MAX {
        return Err(Problem::bad_request(format!("A pause lasts at most {}.", exact(PAUSE_MAX))));
    }
    Ok(Some(now + lasts))
}

/// `POST /probes/{key}/resume`
pub(in crate::http::admin) async fn resume(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    act(state, &key, form, Permission::Triage, move |(tx, probes, caller), probe| {
        Ok(probes.resume(tx, &caller.by(now), probe.id)?)
    })
    .await
}

type Acting<'a> = (&'a WriteTx<'a>, &'a crate::probes::Probes, &'a Caller);

async fn act(
    state: web::Data<AppState>,
    key: &str,
    form: Form,
    permission: Permission,
    act: impl FnOnce(Acting<'_>, &Probe) -> Result<(), Problem> + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let (caller, probes, named) = (form.caller(), probes_of(&state), key.to_owned());
    state
        .store
        .write("probe.act", move |tx| {
            let probe = find(tx, &caller.visible(), &named)?;
            caller.may(permission, Subject::Project(probe.project))?;
            act((tx, &probes, &caller), &probe)
        })
        .await?;
    Ok(see_other(&format!("/probes/{key}")))
}

/// `POST /probes/{key}/remove`
pub(in crate::http::admin) async fn remove(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    act(state, &key, form, Permission::Configure, move |(tx, probes, caller), probe| {
        may_change(caller, probe)?;
        Ok(probes.remove(tx, &caller.by(now), probe.id, Owner::Page)?)
    })
    .await?;
    Ok(see_other("/probes"))
}

/// `POST /probes/{key}/token`: a new address to report to, shown once; the one before is over.
pub(in crate::http::admin) async fn renew_token(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let place = format!("/probes/{key}/token");
    let key = key.into_inner();
    form.once(state, &place, move |state, form| async move { show_token(&state, &form, &key).await }).await
}

/// Makes a token and shows where to report to.
pub(super) async fn show_token(state: &AppState, form: &Form, key: &str) -> Result<HttpResponse, Problem> {
    let (caller, probes, now) = (form.caller(), probes_of(state), state.clock.now());
    let named = key.to_owned();
    let (probe, token) = state
        .store
        .write("probe.token", move |tx| {
            let probe = find(tx, &caller.visible(), &named)?;
            caller.may(Permission::Configure, Subject::Project(probe.project))?;
            let token = probes.renew_token(tx, &caller.by(now), probe.id)?;
            Ok::<_, Problem>((probe, token))
        })
        .await?;
    let mut shown = page(&TokenPage {
        frame: Frame::read(state, &form.signed_in, Place::Probes).await?,
        address: format!("{}/api/push/{}", state.base_url, token.expose()),
        every: exact(probe.definition.policy.interval),
        name: probe.name,
        key: probe.key,
    })?;
    shown.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(shown)
}

/// Whether results are reported to it.
pub(super) const fn is_pushed(kind: Kind) -> bool {
    matches!(kind, Kind::Push)
}
