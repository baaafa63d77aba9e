//! What rings for a probe, level with how it is: read from its rows each time, so that no change of either is missed.

use serde_json::json;

use super::queries::{self, State};
use super::status::Status;
use super::{Error, Probe, ProbeId, outline, rows};
use crate::accounts::{Visible, projects};
use crate::base::{Severity, Timestamp};
use crate::incidents::{CloseReason, Incidents, Signal, SignalKind, Source};
use crate::store::{self, ReadTx, WriteTx};

/// What its incident is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Fires(Severity),
    /// Well again, which its incident believes after a while.
    Ends,
    /// Over at once, for this reason.
    Closes(CloseReason),
    /// Whatever it is: nothing that is known now speaks for or against it.
    Stays,
}

/// Raises or ends what rings for a probe. Idempotent; one read where nothing is to be done.
///
/// # Errors
/// Where the incident cannot be written.
pub fn level(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, id: ProbeId) -> Result<(), Error> {
    let probe = match rows::find(tx, id) {
        Ok(Some(probe)) => probe,
        Ok(None) => return Ok(()),
        Err(error) if error.is_of_one_row() => return level_unread(tx, incidents, now, id),
        Err(error) => return Err(error.into()),
    };
    let Some(state) = queries::state(tx, id)? else { return Ok(()) };
    let wanted = if projects::is_archived(tx, probe.project)? {
        Wanted::Closes(CloseReason::SubjectArchived)
    } else {
        wanted(&probe, &state)
    };
    let flaps = if state.flapping && matches!(wanted, Wanted::Stays) {
        Wanted::Fires(probe.definition.severity)
    } else {
        match wanted {
            Wanted::Closes(_) => wanted,
            Wanted::Fires(_) | Wanted::Ends | Wanted::Stays => Wanted::Ends,
        }
    };
    let news = News { probe: &probe, state: &state, now };
    apply(tx, incidents, wanted, &news.signal())?;
    apply(tx, incidents, flaps, &news.flaps(began(tx, id)?))
}

/// As [`level`], for what a newer version wrote: nobody asks it, so that what it rings about stays until somebody pauses it.
fn level_unread(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, id: ProbeId) -> Result<(), Error> {
    let Some(probe) = outline::find_by_id(tx, &Visible::All, id)? else { return Ok(()) };
    if projects::is_archived(tx, probe.project)? {
        return end(tx, incidents, now, id, CloseReason::SubjectArchived);
    }
    match probe.paused {
        Some(_) => end(tx, incidents, now, id, CloseReason::SubjectPaused),
        None => Ok(()),
    }
}

/// Ends everything that rings for a probe.
///
/// # Errors
/// Where the incident cannot be written.
pub(super) fn end(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    id: ProbeId,
    reason: CloseReason,
) -> Result<(), Error> {
    for key in [id.signal_key(), flaps_key(id)] {
        incidents.close_key(tx, now, &key, reason, "tocsin")?;
    }
    Ok(())
}

fn wanted(probe: &Probe, state: &State) -> Wanted {
    if probe.paused.is_some() {
        return Wanted::Closes(CloseReason::SubjectPaused);
    }
    if !probe.rings() {
        return Wanted::Closes(CloseReason::SubjectGrouped);
    }
    let severity = probe.definition.severity;
    match state.status {
        // Each time would be too often: one message says that it comes and goes.
        Status::Unhealthy | Status::Degraded | Status::Healthy if state.flapping => Wanted::Stays,
        Status::Unhealthy => Wanted::Fires(severity),
        Status::Degraded => Wanted::Fires(severity.min(Severity::Medium)),
        Status::Healthy => Wanted::Ends,
        Status::Unknown | Status::Unreachable | Status::Maintenance | Status::Paused => Wanted::Stays,
    }
}

fn apply(tx: &WriteTx<'_>, incidents: &Incidents, wanted: Wanted, signal: &Signal) -> Result<(), Error> {
    let now = signal.observed_at;
    match wanted {
        Wanted::Fires(severity) => {
            incidents.raise(tx, now, &Signal { severity, kind: SignalKind::Firing, ..signal.clone() })?;
        }
        Wanted::Ends => {
            incidents.raise(tx, now, &Signal { kind: SignalKind::Ok, ..signal.clone() })?;
        }
        Wanted::Closes(reason) => {
            incidents.close_key(tx, now, &signal.key, reason, "tocsin")?;
        }
        Wanted::Stays => {}
    }
    Ok(())
}

fn flaps_key(id: ProbeId) -> String {
    format!("{}:flaps", id.signal_key())
}

/// When the incident of a probe began: what says that it comes and goes belongs to the same.
fn began(tx: &ReadTx<'_>, id: ProbeId) -> Result<Option<Timestamp>, store::Error> {
    tx.first(
        "SELECT incidents.impact_started_at FROM witnesses JOIN incidents ON incidents.id = witnesses.incident_id
         WHERE witnesses.key = ?1 AND witnesses.live = 1",
        [id.signal_key()],
        |row| row.get(0).map(Timestamp::from_micros),
    )
}

/// What a signal tells.
struct News<'a> {
    probe: &'a Probe,
    state: &'a State,
    now: Timestamp,
}

impl News<'_> {
    fn signal(&self) -> Signal {
        let State { status, since, memory, checked_at, .. } = self.state;
        let is_slow = *status == Status::Degraded;
        let how = if is_slow { "is slow" } else { "is down" };
        Signal {
            project: Some(self.probe.project),
            service: None,
            key: self.probe.id.signal_key(),
            source: Source::Probe,
            severity: self.probe.definition.severity,
            summary: self.says(how),
            detail: self.detail(if is_slow { "probe_slow" } else { "probe_down" }),
            first_bad_at: memory.first_bad_at.unwrap_or(*since),
            observed_at: checked_at.unwrap_or(self.now).min(self.now),
            kind: SignalKind::Firing,
        }
    }

    fn flaps(&self, began: Option<Timestamp>) -> Signal {
        let signal = self.signal();
        Signal {
            key: flaps_key(self.probe.id),
            summary: self.says("comes and goes"),
            detail: self.detail("probe_flapping"),
            first_bad_at: began.unwrap_or(signal.observed_at),
            ..signal
        }
    }

    fn says(&self, how: &str) -> String {
        let Probe { name, .. } = self.probe;
        match self.state.reason.as_str() {
            "" => format!("{name} {how}"),
            reason => format!("{name} {how}: {reason}"),
        }
    }

    fn detail(&self, alert: &str) -> serde_json::Value {
        let definition = &self.probe.definition;
        json!({
            "alert": alert,
            "subject": self.probe.name,
            "probe": self.probe.key,
            "target": definition.target.describe(),
            "last_good_at": self.state.memory.last_good_at,
            "environment": definition.environment,
            "runbook": definition.runbook,
        })
    }
}
