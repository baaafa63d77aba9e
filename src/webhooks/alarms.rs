//! What destinations say to the incidents: one that rests, one that is held, and deliveries that died there.

use serde_json::{Value, json};

use super::{Destination, DestinationId, Source};
use crate::base::text::clip;
use crate::base::{ProjectId, Severity, Timestamp, Uid};
use crate::incidents::{self, CloseReason, Incidents, Signal, SignalKind};
use crate::store::{Error, ReadTx, WriteTx};

/// The facts of a destination that its alarms tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub destination: DestinationId,
    pub uid: Uid,
    pub key: String,
    pub name: String,
    pub source_name: String,
    pub project: ProjectId,
    pub severity: Severity,
    /// The source's label `service`.
    pub service: Option<String>,
    pub runbook: Option<String>,
    pub environment: Option<String>,
}

/// Of an error, in one line of a message.
const ERROR_CHARS_MAX: usize = 120;

impl Subject {
    pub fn of(source: &Source, destination: &Destination) -> Self {
        let said = &source.definition;
        Self {
            destination: destination.id,
            uid: destination.uid,
            key: destination.key.clone(),
            name: destination.name.clone(),
            source_name: source.name.clone(),
            project: destination.project,
            severity: said.severity,
            service: said.labels.get("service").cloned(),
            runbook: said.runbook.clone(),
            environment: said.environment.clone(),
        }
    }

    fn signal(&self, now: Timestamp, key: String, source: incidents::Source, detail: &Value) -> Signal {
        self.about().signal(now, key, source, detail)
    }

    fn about(&self) -> About<'_> {
        About {
            name: &self.name,
            project: self.project,
            severity: self.severity,
            service: self.service.as_deref(),
            runbook: self.runbook.as_deref(),
            environment: self.environment.as_deref(),
        }
    }

    fn detail(&self, error: &str) -> Value {
        json!({ "destination": self.key, "source": self.source_name, "error": error })
    }
}

/// Whom a signal is about, and what its source says to all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) name: &'a str,
    pub(super) project: ProjectId,
    pub(super) severity: Severity,
    pub(super) service: Option<&'a str>,
    pub(super) runbook: Option<&'a str>,
    pub(super) environment: Option<&'a str>,
}

impl<'a> About<'a> {
    /// The source itself, or its destination of this name.
    pub(super) fn of(source: &'a Source, name: &'a str) -> Self {
        let said = &source.definition;
        Self {
            name,
            project: source.project,
            severity: said.severity,
            service: said.labels.get("service").map(String::as_str),
            runbook: said.runbook.as_deref(),
            environment: said.environment.as_deref(),
        }
    }

    /// One that fires; whoever raises it says what it is in one line.
    pub(super) fn signal(
        &self,
        now: Timestamp,
        key: String,
        source: incidents::Source,
        detail: &Value,
    ) -> Signal {
        let mut facts = json!({ "webhook": detail, "subject": self.name });
        for (name, value) in [("runbook", self.runbook), ("environment", self.environment)] {
            if let Some(value) = value {
                facts[name] = Value::from(value);
            }
        }
        Signal {
            project: Some(self.project),
            service: self.service.map(str::to_owned),
            key,
            source,
            severity: self.severity,
            summary: self.name.to_owned(),
            detail: facts,
            first_bad_at: now,
            observed_at: now,
            kind: SignalKind::Firing,
        }
    }
}

/// The key of the alarm that a destination rests.
pub fn breaker_key(destination: DestinationId) -> String {
    destination.signal_key("breaker")
}

/// The key of the alarm that nothing is sent to a destination because its app said so.
pub fn held_key(destination: DestinationId) -> String {
    destination.signal_key("held")
}

/// The key of the alarm that deliveries died.
pub fn dead_key(destination: DestinationId) -> String {
    destination.signal_key("dead")
}

/// The breaker opened: deliveries wait.
pub(super) fn opened(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    (subject, error): (&Subject, &str),
) -> Result<(), incidents::Error> {
    let key = breaker_key(subject.destination);
    let summary = format!("{} rests, deliveries wait: {}", subject.name, clip(error, ERROR_CHARS_MAX));
    let signal = subject.signal(now, key, incidents::Source::Breaker, &subject.detail(error));
    incidents.raise(tx, now, &Signal { severity: Severity::Medium, summary, ..signal })?;
    Ok(())
}

/// The careful call came through: deliveries go on.
pub(super) fn closed(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    subject: &Subject,
) -> Result<(), incidents::Error> {
    let key = breaker_key(subject.destination);
    let signal = subject.signal(now, key, incidents::Source::Breaker, &json!({}));
    incidents.raise(tx, now, &Signal { kind: SignalKind::Ok, ..signal })?;
    Ok(())
}

/// The app said that it is gone for good: nothing is sent until somebody resumes it.
pub(super) fn held(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    subject: &Subject,
) -> Result<(), incidents::Error> {
    let error = "the app answered 410 Gone";
    let signal = subject.signal(
        now,
        held_key(subject.destination),
        incidents::Source::Webhook,
        &subject.detail(error),
    );
    let summary = format!("{} is held: {error}; resume it once its address is right", subject.name);
    incidents.raise(tx, now, &Signal { summary, ..signal })?;
    Ok(())
}

/// `count` deliveries died just now.
pub(super) fn died(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    (subject, count, error): (&Subject, u32, &str),
) -> Result<(), incidents::Error> {
    let key = dead_key(subject.destination);
    let more = i64::from(count.saturating_sub(1));
    let all = unsettled(tx, subject.destination)?;
    let summary = match all {
        1 => format!("A webhook to {} died: {}", subject.name, clip(error, ERROR_CHARS_MAX)),
        UNSETTLED_MAX.. => {
            format!(
                "{UNSETTLED_MAX} and more webhooks to {} died: {}",
                subject.name,
                clip(error, ERROR_CHARS_MAX)
            )
        }
        all => format!("{all} webhooks to {} died: {}", subject.name, clip(error, ERROR_CHARS_MAX)),
    };
    let signal = subject.signal(now, key, incidents::Source::Webhook, &subject.detail(error));
    let key = signal.key.clone();
    incidents.raise(tx, now, &Signal { kind: SignalKind::Occurrence, summary, ..signal })?;
    if more > 0 {
        incidents.touch(tx, &key, now, more)?;
    }
    Ok(())
}

/// Dead letters were dealt with: the alarm is over with the last of them.
pub fn dealt_with(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    destination: DestinationId,
    by: &str,
) -> Result<(), incidents::Error> {
    if unsettled(tx, destination)? == 0 {
        incidents.close_key(tx, now, &dead_key(destination), CloseReason::SubjectResolved, by)?;
    }
    Ok(())
}

/// Nobody counts further.
const UNSETTLED_MAX: u32 = 1_000;

/// Dead letters of a destination that nobody dealt with, counted up to [`UNSETTLED_MAX`].
fn unsettled(tx: &ReadTx<'_>, destination: DestinationId) -> Result<u32, Error> {
    tx.one(
        &format!(
            "SELECT count(*) FROM (
                 SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_dead_there
                 WHERE destination_id = ?1 AND status = 'dead_letter' AND settled_at IS NULL LIMIT {UNSETTLED_MAX})"
        ),
        [destination.0],
        |row| row.get(0),
    )
}
