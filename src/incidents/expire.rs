//! The body of the background task that lets time pass. Bounded per run, idempotent, and never sends.

use serde_json::json;

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::close::Ending;
use super::decide::LiveWitness;
use super::gather::GATHERS;
use super::outbox::{NewDelivery, told_channels};
use super::ring::{Alarm, RingDecision, decide_ring, next_ring_at};
use super::routes::Wanted;
use super::rows::{self, IncidentRow, LIVE_WITNESSES, live_witness};
use super::timeline::{Event, EventKind, note};
use super::{
    ChannelId, CloseReason, DELIVERIES, Error, INCIDENTS, IncidentId, Incidents, Purpose, routes, silences,
};

/// What a run did. `more`: a step met its limit, so the task runs again at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Witnesses whose hold or quiet time has passed.
    pub witnesses_over: usize,
    pub silences_ended: usize,
    /// Incidents that rang again.
    pub rang: usize,
    /// Digests written, one per project.
    pub digests: usize,
    /// Messages taken from channels that cannot send now.
    pub handed_over: usize,
    pub more: bool,
}

impl Incidents {
    /// Ends holds and quiet occurrences, tells what ended silences kept back, rings what is due, writes due digests
    /// hands on what waits at a channel that cannot send, and tries a broken one again. At most `limit` rows per step.
    pub fn expire(&self, tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<Expired, Error> {
        self.mind_clock(tx, now)?;
        let lapsed = self.find_lapsed(tx, now, limit)?;
        for witness in &lapsed {
            if let Some(over_since) = witness.lapsed_at(&self.policy, now) {
                let ending = Ending { reason: CloseReason::of_lapse(witness.kind), actor: None };
                self.end_witness(tx, now, witness, over_since, ending)?;
            }
        }
        let ended = silences::find_ended(tx, now, limit)?;
        let mut all_told = true;
        for silence in &ended {
            all_told &= self.tell_what_was_silent(tx, now, *silence)?;
        }
        let due = find_due_rings(tx, now, limit)?;
        let mut rang = 0;
        for incident in &due {
            rang += usize::from(self.ring_again(tx, now, *incident)?);
        }
        let digests = self.write_digests(tx, now, limit)?;
        let handed_over = self.hand_over_stranded(tx, now, limit)? + self.tell_of_late(tx, now, limit)?;
        self.offer_waiting_again(tx, now)?;
        self.probe_broken(tx, now)?;
        let full = |count: usize| u32::try_from(count).is_ok_and(|count| count >= limit);
        let more =
            !all_told || [lapsed.len(), ended.len(), due.len(), digests, handed_over].into_iter().any(full);
        Ok(Expired {
            witnesses_over: lapsed.len(),
            silences_ended: ended.len(),
            rang,
            digests,
            handed_over,
            more,
        })
    }

    /// Removes incidents that were resolved before `before` and of which nothing waits to be told, and messages without an incident that are as old and
    /// done. Answers how many rows; their witnesses, timelines and messages go with them.
    pub fn purge(&self, tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
        let incidents = tx.execute(
            "DELETE FROM incidents WHERE id IN (
                 SELECT id FROM incidents WHERE state = 'resolved' AND resolved_at < ?1 AND NOT EXISTS (
                     SELECT 1 FROM deliveries d
                     WHERE d.incident_id = incidents.id AND d.state IN ('waiting', 'pending', 'sending'))
                 ORDER BY resolved_at LIMIT ?2)",
            params![before.as_micros(), limit],
        )?;
        let messages = tx.execute(
            "DELETE FROM deliveries WHERE id IN (
                 SELECT id FROM deliveries
                 WHERE incident_id IS NULL AND created_at < ?1 AND state IN ('delivered', 'failed', 'cancelled', 'bundled')
                 LIMIT ?2)",
            params![before.as_micros(), limit],
        )?;
        Ok(incidents + messages)
    }

    fn find_lapsed(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<LiveWitness>, store::Error> {
        let held = (now - self.policy.hold).as_micros();
        let mut lapsed = tx.all(
            &format!(
                "{LIVE_WITNESSES}
                 WHERE w.live = 1 AND w.state = 'holding' AND w.ok_since <= ?1 ORDER BY w.ok_since LIMIT ?2"
            ),
            params![held, limit],
            live_witness,
        )?;
        let quiet = (now - self.policy.quiet).as_micros();
        lapsed.extend(tx.all(
            &format!(
                "{LIVE_WITNESSES}
                 WHERE w.live = 1 AND w.kind = 'occurrence' AND w.state = 'firing' AND w.last_bad_at <= ?1
                 ORDER BY w.last_bad_at LIMIT ?2"
            ),
            params![quiet, limit],
            live_witness,
        )?);
        Ok(lapsed)
    }

    /// Rings an incident whose wait is over, if it still should, and says whether a channel was rung.
    fn ring_again(&self, tx: &WriteTx<'_>, now: Timestamp, incident: IncidentId) -> Result<bool, Error> {
        let Some(mut row) = rows::find_incident(tx, incident)? else { return Ok(false) };
        row.silenced = silences::silence_if_covered(tx, now, &row)?;
        let mut alarm =
            Alarm { severity: row.severity, state: row.state, silenced: row.silenced, rings: row.rings };
        let rung = match decide_ring(alarm) {
            RingDecision::Quiet(_) => Vec::new(),
            RingDecision::Ring { climb } => self.ring_channels(tx, now, &row, climb)?,
        };
        alarm.rings += 1;
        let next = next_ring_at(&self.policy.ring, alarm, now).map(Timestamp::as_micros);
        tx.execute(
            "UPDATE incidents SET rings = ?2, next_ring_at = ?3 WHERE id = ?1",
            params![incident.0, alarm.rings, next],
        )?;
        if rung.is_empty() {
            return Ok(false);
        }
        let detail = json!({"number": alarm.rings, "channels": rung.len()});
        note(tx, now, incident, &Event { kind: EventKind::Rang, actor: None, detail })?;
        tx.touch(INCIDENTS);
        Ok(true)
    }

    /// Rings the channels that know of the incident; with `climb`, or where none of them can ring, the next one too.
    fn ring_channels(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        incident: &IncidentRow,
        climb: bool,
    ) -> Result<Vec<ChannelId>, Error> {
        let mut channels = told_channels(tx, incident.id)?;
        for channel in &channels {
            if hasten_unsent(tx, now, incident.id, *channel)? {
                continue;
            }
            let content = json!({"number": incident.rings + 1});
            let mut message = NewDelivery::of(incident, Purpose::RingAgain, content);
            message.channel = Some(*channel);
            self.enqueue(tx, now, &message)?;
        }
        let next = if climb || channels.is_empty() {
            let (project, incident) = (incident.project, Some(incident.id));
            routes::next_channel(tx, Wanted { project, incident, tried: &[] })?
        } else {
            None
        };
        if next.is_some() || channels.is_empty() {
            let mut message = NewDelivery::of(incident, Purpose::Opened, json!({"climbed": true}));
            // Without any channel its first message waits already, and `enqueue` leaves it at one.
            message.channel = next;
            self.enqueue(tx, now, &message)?;
            channels.extend(next);
        }
        Ok(channels)
    }
}

/// Where the last message still waits to be sent, by itself or in a bundle, another would only come after it: that one
/// becomes due now. What only gathers is no alarm: the ring takes it along.
fn hasten_unsent(
    tx: &WriteTx<'_>,
    now: Timestamp,
    incident: IncidentId,
    channel: ChannelId,
) -> Result<bool, store::Error> {
    let unsent = tx.execute(
        &format!(
            "UPDATE deliveries SET next_attempt_at = min(ifnull(next_attempt_at, ?3), ?3)
         WHERE channel_id = ?2 AND state IN ('pending', 'sending') AND id IN (
             SELECT id FROM deliveries WHERE incident_id = ?1 AND follows IS NULL AND NOT ({GATHERS})
             UNION SELECT bundle_id FROM deliveries WHERE incident_id = ?1 AND state = 'bundled')"
        ),
        params![incident.0, channel.0, now.as_micros()],
    )?;
    if unsent > 0 {
        tx.touch(DELIVERIES);
    }
    Ok(unsent > 0)
}

fn find_due_rings(tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<IncidentId>, store::Error> {
    tx.all(
        "SELECT id FROM incidents WHERE next_ring_at IS NOT NULL AND next_ring_at <= ?1
         ORDER BY next_ring_at LIMIT ?2",
        params![now.as_micros(), limit],
        |row| row.get(0).map(IncidentId),
    )
}
