//! What the task `health.services` does: judges every service, writes what changed, rings for those that ring.

use std::collections::BTreeSet;

use serde_json::json;

use super::rule::{Judged, ServiceStatus, judge};
use super::{Error, SERVICES, Service, ServiceId, Services, members, queries};
use crate::accounts::{By, Visible};
use crate::base::Timestamp;
use crate::heartbeats::{self, HeartbeatId};
use crate::incidents::maintenance::Covers;
use crate::incidents::{CloseReason, Signal, SignalKind, Source, queries as incidents};
use crate::probes::{ProbeId, Status as Member};
use crate::store::{self, ReadTx, WriteTx, params};

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Services that are another way than before.
    pub changed: usize,
    /// Incidents that began or ended.
    pub rung: usize,
}

/// All services with what is written of their members, under the planned work of this moment.
fn all_under(tx: &ReadTx<'_>, covers: &Covers) -> Result<Vec<Service>, store::Error> {
    let mut services = queries::list(tx, &Visible::All)?;
    for service in &mut services {
        service.cover(covers);
    }
    Ok(services)
}

impl Service {
    /// Puts its members under planned work.
    pub(super) fn cover(&mut self, covers: &Covers) {
        for member in &mut self.members {
            member.cover(self.project, covers);
        }
    }

    /// What follows from its members.
    pub(super) fn judge(&self, covers: &Covers) -> Judged {
        match covers.of(self.project, &self.id.signal_key()) {
            Some(active) => Judged { status: ServiceStatus::Maintenance, reason: active.title.clone() },
            None => judge(self.needs, &self.states()),
        }
    }
}

impl Services {
    /// Whether [`Services::keep`] would find something to do.
    pub fn is_due(&self, tx: &ReadTx<'_>, covers: &Covers) -> Result<bool, store::Error> {
        let services = all_under(tx, covers)?;
        let firing = firing(tx)?;
        let differs = |service: &Service| service.differs(&service.judge(covers)).is_some();
        let rings = |service: &Service| service.step(&firing, &service.judge(covers)).is_some();
        Ok(members::have_moved(tx)?
            || services.iter().any(|service| differs(service) || rings(service))
            || !without_service(&firing, &services).is_empty())
    }

    /// Judges every service; writes a change with the alarm that follows from it. Idempotent.
    ///
    /// # Errors
    /// Where an incident cannot be written.
    pub fn keep(&self, tx: &WriteTx<'_>, now: Timestamp, covers: &Covers) -> Result<Kept, Error> {
        if members::have_moved(tx)? {
            members::let_go(tx, now)?;
        }
        let services = all_under(tx, covers)?;
        let firing = firing(tx)?;
        let mut kept = Kept::default();
        for service in &services {
            let judged = service.judge(covers);
            match service.differs(&judged) {
                Some(Differs::Status) => {
                    write_change(tx, service.turned_at(now, judged.status), service.id, &judged)?;
                    kept.changed += 1;
                }
                Some(Differs::Reason) => write_reason(tx, service.id, &judged)?,
                None => {}
            }
            if let Some(step) = service.step(&firing, &judged) {
                self.take(tx, now, (service, &judged), step)?;
                kept.rung += 1;
            }
        }
        for key in without_service(&firing, &services) {
            self.incidents.close_key(tx, now, &key, CloseReason::SubjectRemoved, "tocsin")?;
            kept.rung += 1;
        }
        Ok(kept)
    }

    fn take(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        (service, judged): (&Service, &Judged),
        step: Step,
    ) -> Result<(), Error> {
        match step {
            Step::Raise(kind) => {
                self.incidents.raise(tx, now, &service.signal(now, judged, kind))?;
            }
            Step::Close => {
                let key = service.id.signal_key();
                self.incidents.close_key(tx, now, &key, CloseReason::SubjectGrouped, "tocsin")?;
            }
        }
        Ok(())
    }

    /// Says of a member whether a service rings for it.
    pub(super) fn set_grouped(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        member: &str,
        grouped: bool,
    ) -> Result<(), Error> {
        if let Some(id) = ProbeId::of_signal_key(member) {
            self.probes.set_grouped(tx, by.now, id, grouped)?;
        }
        if let Some(id) = HeartbeatId::of_signal_key(member) {
            heartbeats::set_grouped(tx, &self.incidents, by.now, id, grouped)?;
        }
        Ok(())
    }
}

/// What is to be written of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Differs {
    Status,
    /// The same status for other reasons: the state is brought up to date, its history stays short.
    Reason,
}

/// What its incident needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Raise(SignalKind),
    /// Its members ring for themselves now.
    Close,
}

impl Service {
    fn differs(&self, judged: &Judged) -> Option<Differs> {
        if self.since.is_none() || self.status != judged.status {
            Some(Differs::Status)
        } else {
            (self.reason != judged.reason).then_some(Differs::Reason)
        }
    }

    /// A service that needs all of its members rings through them.
    fn step(&self, firing: &BTreeSet<String>, judged: &Judged) -> Option<Step> {
        let fires = firing.contains(&self.id.signal_key());
        if self.needs.least().is_none() {
            return fires.then_some(Step::Close);
        }
        match judged.status {
            ServiceStatus::Unhealthy => (!fires).then_some(Step::Raise(SignalKind::Firing)),
            ServiceStatus::Healthy | ServiceStatus::Degraded => fires.then_some(Step::Raise(SignalKind::Ok)),
            // Nothing that is known now speaks for or against it.
            ServiceStatus::Unknown | ServiceStatus::Maintenance => None,
        }
    }

    /// When it became so: as its members are, it is dated back to the reading that showed it. Not before its last change
    /// nor before somebody changed what it consists of; planned work begins and ends when it does.
    pub(super) fn turned_at(&self, now: Timestamp, status: ServiceStatus) -> Timestamp {
        let is_planned = [self.status, status].contains(&ServiceStatus::Maintenance);
        match (self.since, self.began(status)) {
            (Some(last), Some(began)) if !is_planned => began.max(last).max(self.updated_at).min(now),
            _ => now,
        }
    }

    /// When its members made it so: it was lost with the first of them where it needs all, with the last that it needed
    /// where it needs some; whatever else it is came with the last change of any.
    fn began(&self, status: ServiceStatus) -> Option<Timestamp> {
        let is_down = status == ServiceStatus::Unhealthy;
        let deciding = self.members.iter().filter(|member| !is_down || member.status == Member::Unhealthy);
        let since = deciding.filter_map(|member| member.since);
        if is_down && self.needs.least().is_none() { since.min() } else { since.max() }
    }

    fn signal(&self, now: Timestamp, judged: &Judged, kind: SignalKind) -> Signal {
        Signal {
            project: Some(self.project),
            service: Some(self.key.clone()),
            key: self.id.signal_key(),
            source: Source::Service,
            severity: self.severity(),
            summary: format!("{} is down: {}", self.name, judged.reason),
            detail: json!({
                "alert": "service_down",
                "subject": self.name,
                "service": self.key,
                "environment": self.settings.environment,
                "runbook": self.settings.runbook,
            }),
            first_bad_at: self.began(ServiceStatus::Unhealthy).unwrap_or(now),
            observed_at: now,
            kind,
        }
    }
}

fn firing(tx: &ReadTx<'_>) -> Result<BTreeSet<String>, store::Error> {
    Ok(incidents::firing_keys(tx, Source::Service, "")?.into_iter().collect())
}

/// Incidents of services that are gone, with their project for instance.
fn without_service(firing: &BTreeSet<String>, services: &[Service]) -> Vec<String> {
    let known: BTreeSet<String> = services.iter().map(|service| service.id.signal_key()).collect();
    firing.difference(&known).cloned().collect()
}

fn write_change(
    tx: &WriteTx<'_>,
    at: Timestamp,
    service: ServiceId,
    judged: &Judged,
) -> Result<(), store::Error> {
    let (at, status) = (at.as_micros(), judged.status.as_str());
    tx.execute(
        "INSERT INTO service_states (service_id, status, since, reason) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET status = excluded.status, since = excluded.since, reason = excluded.reason",
        params![service.0, status, at, judged.reason],
    )?;
    tx.insert(
        "INSERT INTO service_changes (service_id, at, status, reason) VALUES (?1, ?2, ?3, ?4)",
        params![service.0, at, status, judged.reason],
    )?;
    tx.touch(SERVICES);
    Ok(())
}

fn write_reason(tx: &WriteTx<'_>, service: ServiceId, judged: &Judged) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE service_states SET reason = ?2 WHERE service_id = ?1",
        params![service.0, judged.reason],
    )?;
    tx.touch(SERVICES);
    Ok(())
}
