//! Acknowledge, resolve, split, silence: what somebody does about an incident.

use std::sync::Arc;

use serde_json::{Value, json};

use super::silence::Lasting;
use crate::accounts::access::Permission;
use crate::accounts::audit::{self, Change};
use crate::base::{Timestamp, Uid};
use crate::http::auth::Caller;
use crate::http::visible::{Slugs, scope, subject};
use crate::http::{AppState, Problem};
use crate::incidents::silences::NewSilence;
use crate::incidents::views::IncidentView;
use crate::incidents::{IncidentId, Incidents, WitnessId, queries};
use crate::store::WriteTx;

/// What is done, with what it needs.
#[derive(Clone, Debug)]
pub enum Act {
    Acknowledge,
    /// Takes the acknowledgement back: it rings again.
    Unacknowledge,
    /// By hand, whatever still fires.
    Resolve,
    /// Makes a witness an incident of its own.
    Split(WitnessId),
    /// The incident, with what joins it later, while it lasts.
    Silence(Lasting),
}

impl Act {
    const fn action(&self) -> &'static str {
        match self {
            Self::Acknowledge => "incident.acknowledge",
            Self::Unacknowledge => "incident.unacknowledge",
            Self::Resolve => "incident.resolve",
            Self::Split(_) => "incident.split",
            Self::Silence(_) => "silence.create",
        }
    }

    fn detail(&self) -> Value {
        match self {
            Self::Acknowledge | Self::Unacknowledge | Self::Resolve => Value::Null,
            Self::Split(witness) => json!({ "witness": witness.0 }),
            Self::Silence(lasting) => lasting.detail(),
        }
    }
}

/// Acts on the incident with the outside id `id`; returns how it stands afterwards.
///
/// # Errors
/// Where the caller does not see it or may not do it, and where its state does not allow it.
pub async fn act(state: &AppState, caller: Caller, id: Uid, act: Act) -> Result<IncidentView, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    state
        .store
        .write("incident.act", move |tx| {
            let visible = caller.visible();
            let find =
                || queries::find(tx, scope(&visible), id)?.ok_or_else(|| Problem::not_found("incident"));
            let found = find()?;
            caller.may(Permission::Triage, subject(found.project_id))?;
            let by = caller.by(now);
            carry_out(tx, &incidents, now, &found, (&act, &by.actor.to_string()))?;
            let subject = format!("#{}", found.number);
            let (action, detail, project) = (act.action(), act.detail(), found.project_id);
            audit::append(tx, &by, &Change { action, subject: &subject, project, detail })?;
            let mut after = find()?;
            Slugs::default().name_incident(tx, &mut after)?;
            Ok::<_, Problem>(after)
        })
        .await
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
        Act::Unacknowledge => incidents.unacknowledge(tx, now, id, by)?,
        Act::Resolve => incidents.resolve(tx, now, id, by)?,
        Act::Split(witness) => {
            // The witness's number came from a form: it must be one of this incident.
            if queries::find_incident_of(tx, *witness)? != Some(id) {
                return Err(Problem::not_found("witness"));
            }
            incidents.split(tx, now, *witness, by)?;
        }
        Act::Silence(lasting) => {
            let silence = lasting.silence(found.project_id, None, by, now);
            incidents.silence(tx, now, &NewSilence { incident: Some(id), ..silence })?;
        }
    }
    Ok(())
}
