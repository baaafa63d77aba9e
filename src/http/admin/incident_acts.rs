//! What a signed-in person does with an incident. Each leaves a line in the audit log.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::form::Form;
use super::frame::see_other;
use crate::accounts::access::Permission;
use crate::accounts::audit::{self, Change};
use crate::base::text::clip;
use crate::base::{Timestamp, Uid};
use crate::http::visible::{scope, subject};
use crate::http::{AppState, Problem};
use crate::incidents::silences::NewSilence;
use crate::incidents::views::IncidentView;
use crate::incidents::{IncidentId, Incidents, WitnessId, queries};
use crate::store::WriteTx;

/// A reason is a line.
const REASON_CHARS_MAX: usize = 200;
/// A forgotten silence must end by itself.
const SILENCE_HOURS_MAX: u64 = 31 * 24;

/// What is done, with what it needs.
#[derive(Clone, Debug)]
enum Act {
    Acknowledge,
    TakeBack,
    Resolve,
    Split(WitnessId),
    Silence { lasts: Duration, reason: String },
}

impl Act {
    const fn action(&self) -> &'static str {
        match self {
            Self::Acknowledge => "incident.acknowledge",
            Self::TakeBack => "incident.unacknowledge",
            Self::Resolve => "incident.resolve",
            Self::Split(_) => "incident.split",
            Self::Silence { .. } => "silence.create",
        }
    }

    fn detail(&self) -> Value {
        match self {
            Self::Acknowledge | Self::TakeBack | Self::Resolve => Value::Null,
            Self::Split(witness) => json!({ "witness": witness.0 }),
            Self::Silence { lasts, reason } => json!({ "hours": lasts.as_secs() / 3600, "reason": reason }),
        }
    }
}

/// `POST /incidents/{id}/acknowledge`
pub(super) async fn acknowledge(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let back = (form.text("to") == "list").then_some("/incidents");
    let done = act(&state, &id, &form, Act::Acknowledge).await?;
    Ok(back.map_or(done, see_other))
}

/// `POST /incidents/{id}/unacknowledge`
pub(super) async fn unacknowledge(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, &id, &form, Act::TakeBack).await
}

/// `POST /incidents/{id}/resolve`
pub(super) async fn resolve(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, &id, &form, Act::Resolve).await
}

/// `POST /incidents/{id}/split`: the field `witness` is its number.
pub(super) async fn split(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let witness = form.text("witness").parse().map_err(|_| Problem::not_found("witness"))?;
    act(&state, &id, &form, Act::Split(WitnessId(witness))).await
}

/// `POST /incidents/{id}/silence`: everything that the incident saw, for some hours.
pub(super) async fn silence(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (lasts, reason) = silence_of(&form)?;
    act(&state, &id, &form, Act::Silence { lasts, reason }).await
}

/// The fields `hours` and `reason` of a form that begins a silence.
pub(super) fn silence_of(form: &Form) -> Result<(Duration, String), Problem> {
    let hours = form.text("hours").parse().ok().filter(|hours| (1..=SILENCE_HOURS_MAX).contains(hours));
    let hours: u64 = hours.ok_or_else(|| Problem::bad_request("A silence lasts 1 hour to 31 days."))?;
    let reason = clip(form.text("reason"), REASON_CHARS_MAX).into_owned();
    if reason.is_empty() {
        return Err(Problem::bad_request("Say why it is silenced: the next person wants to know."));
    }
    Ok((Duration::from_hours(hours), reason))
}

async fn act(state: &AppState, id: &str, form: &Form, act: Act) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("incident"))?;
    let (now, caller, incidents) = (state.clock.now(), form.caller(), Arc::clone(&state.incidents));
    state
        .store
        .write("incident.act", move |tx| {
            let visible = caller.visible();
            let found =
                queries::find(tx, scope(&visible), id)?.ok_or_else(|| Problem::not_found("incident"))?;
            caller.may(Permission::Triage, subject(found.project_id))?;
            let by = caller.by(now);
            carry_out(tx, &incidents, now, &found, (&act, &by.actor.to_string()))?;
            let subject = format!("#{}", found.number);
            let (action, detail, project) = (act.action(), act.detail(), found.project_id);
            Ok::<_, Problem>(audit::append(tx, &by, &Change { action, subject: &subject, project, detail })?)
        })
        .await?;
    Ok(see_other(&format!("/incidents/{id}")))
}

fn carry_out(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    found: &IncidentView,
    (act, by): (&Act, &str),
) -> Result<(), Problem> {
    let id = IncidentId(found.number);
    match act {
        Act::Acknowledge => {
            incidents.acknowledge(tx, now, id, by)?;
        }
        Act::TakeBack => incidents.unacknowledge(tx, now, id, by)?,
        Act::Resolve => incidents.resolve(tx, now, id, by)?,
        Act::Split(witness) => {
            // The witness's number came from a form: it must be one of this incident.
            if queries::find_incident_of(tx, *witness)? != Some(id) {
                return Err(Problem::not_found("witness"));
            }
            incidents.split(tx, now, *witness, by)?;
        }
        Act::Silence { lasts, reason } => {
            for witness in found.witnesses.iter().filter(|witness| witness.state != "ok") {
                let silence = NewSilence {
                    project: found.project_id,
                    key: Some(witness.key.clone()),
                    reason: reason.clone(),
                    created_by: by.to_owned(),
                    starts_at: now,
                    ends_at: now + *lasts,
                };
                incidents.silence(tx, now, &silence)?;
            }
        }
    }
    Ok(())
}
