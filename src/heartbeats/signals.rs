//! What a heartbeat says to the incidents.

use serde_json::{Value, json};

use super::rows::Heartbeat;
use super::rules::{Odd, whole};
use super::{Status, runs};
use crate::base::{Severity, Timestamp};
use crate::incidents::{CloseReason, Incidents, Signal, SignalKind, Source};
use crate::store::{Error, ReadTx, WriteTx};

/// The end of what a job wrote says what came of it; a message shows so much.
const TAIL_CHARS_MAX: usize = 1_000;

/// Makes its incident what its state is. Level-triggered: after a restart, or where it was set to ring, the next call
/// catches up. `bad_since` is when the trouble began, where it began just now.
pub(super) fn level(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    heartbeat: &Heartbeat,
    bad_since: Option<Timestamp>,
) -> Result<(), Error> {
    let state = &heartbeat.state;
    match state.status {
        Status::Down if heartbeat.rings() => {
            let since = bad_since.unwrap_or(state.since);
            incidents.raise(tx, now, &down(tx, now, heartbeat, since)?)?;
        }
        Status::Up if heartbeat.rings() => {
            let ok = Signal { kind: SignalKind::Ok, ..base(now, heartbeat) };
            incidents.raise(tx, now, &ok)?;
        }
        // One that was down is still told as down, and not as well while the next run is awaited already.
        Status::Late => incidents.doubt(tx, &heartbeat.id.signal_key())?,
        Status::New | Status::Paused | Status::Down | Status::Up => {
            close(tx, incidents, now, heartbeat, (CloseReason::SubjectGrouped, "tocsin"))?;
        }
    }
    Ok(())
}

/// Ends whatever it rings about: it is paused, removed, or another rings for it.
pub(super) fn close(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    heartbeat: &Heartbeat,
    (reason, by): (CloseReason, &str),
) -> Result<(), Error> {
    for key in [heartbeat.id.signal_key(), odd_key(heartbeat)] {
        incidents.close_key(tx, now, &key, reason, by)?;
    }
    Ok(())
}

/// A good run that was odd: an occurrence, over when it is quiet.
pub(super) fn raise_odd(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    heartbeat: &Heartbeat,
    odd: Odd,
) -> Result<(), Error> {
    if !heartbeat.rings() {
        return Ok(());
    }
    let (most, says) = match odd {
        Odd::Early { before } => {
            (Severity::Medium, format!("ran too early: {} after the last run", whole(before)))
        }
        Odd::Slow { took, usual } => {
            (Severity::Low, format!("took {} instead of about {}", whole(took), whole(usual)))
        }
    };
    let signal = Signal {
        key: odd_key(heartbeat),
        severity: heartbeat.definition.severity.min(most),
        summary: format!("{} {says}", heartbeat.name),
        kind: SignalKind::Occurrence,
        ..base(now, heartbeat)
    };
    incidents.raise(tx, now, &signal)?;
    Ok(())
}

fn odd_key(heartbeat: &Heartbeat) -> String {
    format!("{}:odd", heartbeat.id.signal_key())
}

fn down(tx: &ReadTx<'_>, now: Timestamp, heartbeat: &Heartbeat, since: Timestamp) -> Result<Signal, Error> {
    let summary = format!("{} {}", heartbeat.name, heartbeat.state.reason);
    let detail = detail(tx, heartbeat)?;
    Ok(Signal { summary, detail, first_bad_at: since, kind: SignalKind::Firing, ..base(now, heartbeat) })
}

fn base(now: Timestamp, heartbeat: &Heartbeat) -> Signal {
    Signal {
        project: Some(heartbeat.project),
        service: None,
        key: heartbeat.id.signal_key(),
        source: Source::Heartbeat,
        severity: heartbeat.definition.severity,
        summary: heartbeat.name.clone(),
        detail: json!({}),
        first_bad_at: now,
        observed_at: now,
        kind: SignalKind::Ok,
    }
}

/// Facts for messages and pages.
fn detail(tx: &ReadTx<'_>, heartbeat: &Heartbeat) -> Result<Value, Error> {
    let (definition, state) = (&heartbeat.definition, &heartbeat.state);
    let last = runs::last_told(tx, heartbeat.id)?;
    let tail = last.as_ref().and_then(runs::Run::text).map(|text| tail(&text));
    let facts = json!({
        "uid": heartbeat.uid,
        "schedule": definition.schedule.describe(),
        "expected_at": state.expected_at,
        "last_ok_at": state.last_ok_at,
        "missed": state.missed_now,
        "exit_status": last.as_ref().and_then(|run| run.exit_status),
        "took_ms": last.as_ref().and_then(|run| run.took).map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "output": tail,
    });
    let mut detail = json!({ "heartbeat": without_nulls(facts), "subject": heartbeat.name });
    for (name, value) in [("runbook", &definition.runbook), ("environment", &definition.environment)] {
        if let Some(value) = value {
            detail[name] = Value::from(value.as_str());
        }
    }
    Ok(detail)
}

fn without_nulls(mut facts: Value) -> Value {
    if let Value::Object(members) = &mut facts {
        members.retain(|_, value| !value.is_null());
    }
    facts
}

/// The end of a text.
fn tail(text: &str) -> String {
    let text = text.trim();
    let skip = text.chars().count().saturating_sub(TAIL_CHARS_MAX);
    text.chars().skip(skip).collect()
}
