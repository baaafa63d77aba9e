//! Many messages become one that counts and lists them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::{ProjectId, Severity, Timestamp};
use crate::store::{self, WriteTx, params};

use super::outbox::{Cause, NewDelivery, Purpose, WAITING_MAX};
use super::routes::{Wanted, next_channel};
use super::rows::{self, ChannelId, DeliveryId};
use super::{DELIVERIES, Fallback, IncidentId, Incidents};

/// Named one by one in the message; the others are counted.
pub const LISTED_MAX: usize = 20;
/// Folded into one bundle per run; the next run takes the rest.
const MEMBERS_MAX: i64 = 1_000;
/// Everything that may wait, the row that counts older ones included.
const ADOPTED_MAX: i64 = WAITING_MAX + 1;
/// As many members of a failed bundle are divided among channels; what is beyond goes on as a number.
const MOVED_MAX: u32 = 10_000;

/// A message that goes into a bundle.
struct Member {
    id: DeliveryId,
    project: Option<ProjectId>,
    severity: Severity,
    quantity: i64,
    /// `None` for a row that only counts others.
    item: Option<Value>,
}

/// A bundle to be written.
struct NewBundle<'a> {
    channel: ChannelId,
    /// `burst`, `no_channel` or `waiting_full`.
    reason: &'a str,
    members: &'a [Member],
    /// Channels that would not take it.
    tried: &'a [i64],
}

/// A bundle that its channel will not deliver.
pub(super) struct FailedBundle<'a> {
    pub(super) id: DeliveryId,
    pub(super) content: &'a Value,
    pub(super) tried: &'a [i64],
}

/// What [`read_member`] reads.
const MEMBERS: &str = "
    SELECT d.id, d.project_id, d.severity, d.quantity, d.purpose, d.incident_id, i.summary
    FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id";

impl Incidents {
    /// Where more than `policy.bundle_over` incident messages are due at once on `channel`, makes them one. What an
    /// incident has to say before one of them goes with it, though it is not due yet, and nothing goes before what is
    /// being sent: nobody hears that something recovered before they hear what.
    ///
    /// Answers how many messages the bundle took, 0 where there is none.
    pub fn bundle_due(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
    ) -> Result<usize, store::Error> {
        let members = tx.all(
            &format!(
                "{MEMBERS}
                 WHERE d.state = 'pending' AND d.channel_id = ?2 AND d.cause = 'incident' AND d.purpose <> 'bundle'
                   AND d.follows IS NULL
                   AND (d.next_attempt_at <= ?1 OR EXISTS (
                       SELECT 1 FROM deliveries later
                       WHERE later.incident_id = d.incident_id AND later.channel_id = d.channel_id AND later.id > d.id
                         AND later.state = 'pending' AND later.follows IS NULL AND later.next_attempt_at <= ?1))
                   AND NOT EXISTS (
                       SELECT 1 FROM deliveries earlier
                       WHERE earlier.incident_id = d.incident_id AND earlier.channel_id = d.channel_id
                         AND earlier.id < d.id AND earlier.state = 'sending' AND earlier.follows IS NULL)
                 ORDER BY d.id LIMIT ?3"
            ),
            params![now.as_micros(), channel.0, MEMBERS_MAX],
            read_member,
        )?;
        let over = usize::try_from(self.policy.bundle_over).unwrap_or(usize::MAX);
        if members.len() <= over {
            return Ok(0);
        }
        let bundle = NewBundle { channel, reason: "burst", members: &members, tried: &[] };
        self.write_bundle(tx, now, &bundle)?;
        Ok(members.len())
    }

    /// Gives `channel` what waits and may go there: one message, whatever the number. A project's alarms wait on
    /// where another channel of its choice is ready to take them. Answers how many it took.
    pub(super) fn adopt_waiting(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
    ) -> Result<usize, store::Error> {
        // All of them at once, or the channel would hear of them bit by bit: WAITING_MAX and the fold bound it.
        let members = tx.all(
            &format!(
                "{MEMBERS}
                 WHERE d.state = 'waiting' AND (
                     EXISTS (SELECT 1 FROM routes r WHERE r.project_id = d.project_id AND r.channel_id = ?1)
                     OR NOT EXISTS (SELECT 1 FROM routes r JOIN channels c ON c.id = r.channel_id
                                    WHERE r.project_id = d.project_id AND c.state = 'ready'))
                 ORDER BY d.id DESC LIMIT ?2"
            ),
            params![channel.0, ADOPTED_MAX],
            read_member,
        )?;
        if !members.is_empty() {
            let bundle = NewBundle { channel, reason: "no_channel", members: &members, tried: &[] };
            self.write_bundle(tx, now, &bundle)?;
        }
        Ok(members.len())
    }

    /// Offers what has waited long to the ready channels again: each refused it once, as one message it may pass.
    pub(super) fn offer_waiting_again(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<(), store::Error> {
        let offered_before = now - self.policy.offer_again_after;
        let overdue = tx.first(
            "SELECT 1 FROM deliveries INDEXED BY deliveries_waiting
             WHERE state = 'waiting' AND created_at <= ?1 LIMIT 1",
            [offered_before.as_micros()],
            |_| Ok(()),
        )?;
        if overdue.is_none() {
            return Ok(());
        }
        let ready = tx.all(
            "SELECT id FROM channels WHERE state = 'ready' ORDER BY position, id LIMIT ?1",
            [super::channels::CHANNELS_MAX],
            |row| row.get(0).map(ChannelId),
        )?;
        ready.into_iter().try_for_each(|channel| self.adopt_waiting(tx, now, channel).map(drop))
    }

    /// Divides a failed bundle among the next channels of its projects. What nobody can take waits one by one.
    pub(super) fn pass_on_bundle(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        failed: &FailedBundle<'_>,
    ) -> Result<Fallback, store::Error> {
        give_up_known(tx, failed.id)?;
        let mut members = tx.all(
            &format!(
                "{MEMBERS}
                 WHERE d.bundle_id = ?1 AND d.state = 'bundled' AND d.purpose <> 'bundle' ORDER BY d.id DESC LIMIT ?2"
            ),
            params![failed.id.0, MOVED_MAX],
            read_member,
        )?;
        if members.is_empty() {
            return Ok(Fallback::OthersKnow);
        }
        tx.execute("UPDATE deliveries SET channel_id = NULL WHERE bundle_id = ?1", [failed.id.0])?;
        members.extend(self.count_rest(tx, now, failed.id, &members)?);
        let mut next_of = BTreeMap::new();
        let mut ways: BTreeMap<Option<ChannelId>, Vec<Member>> = BTreeMap::new();
        for member in members {
            let project = member.project;
            let next = match next_of.get(&project) {
                Some(next) => *next,
                None => next_channel(tx, Wanted { project, incident: None, tried: failed.tried })?,
            };
            next_of.insert(project, next);
            ways.entry(next).or_default().push(member);
        }
        let reason = failed.content.get("reason").and_then(Value::as_str).unwrap_or("burst");
        let mut fallback = Fallback::Waiting;
        for (way, members) in &ways {
            match way {
                Some(channel) => {
                    let bundle = NewBundle { channel: *channel, reason, members, tried: failed.tried };
                    self.write_bundle(tx, now, &bundle)?;
                    fallback = Fallback::Channel(*channel);
                }
                None => self.wait_again(tx, now, members)?,
            }
        }
        Ok(fallback)
    }

    /// What a failed bundle stands for beyond `listed`, its newest members, as one row that counts it.
    fn count_rest(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        bundle: DeliveryId,
        listed: &[Member],
    ) -> Result<Option<Member>, store::Error> {
        let Some(oldest) =
            listed.last().filter(|_| u32::try_from(listed.len()).is_ok_and(|count| count >= MOVED_MAX))
        else {
            return Ok(None);
        };
        let fold = self.open_fold(tx, now)?;
        let rest = "bundle_id = ?2 AND id < ?3 AND state = 'bundled' AND purpose <> 'bundle'";
        let quantity = tx.one(
            &format!(
                "UPDATE deliveries SET quantity = quantity
                     + (SELECT ifnull(sum(quantity), 0) FROM deliveries WHERE {rest})
                 WHERE id = ?1 RETURNING quantity"
            ),
            params![fold.0, bundle.0, oldest.id.0],
            |row| row.get(0),
        )?;
        tx.execute(
            &format!("UPDATE deliveries SET bundle_id = ?1 WHERE {rest}"),
            params![fold.0, bundle.0, oldest.id.0],
        )?;
        let (project, severity) = (None, Severity::High);
        Ok(Some(Member { id: fold, project, severity, quantity, item: None }))
    }

    /// Puts messages back among those that wait.
    fn wait_again(&self, tx: &WriteTx<'_>, now: Timestamp, members: &[Member]) -> Result<(), store::Error> {
        let ids = ids(members);
        // Where the incident's first message waits already, this one is not needed.
        tx.execute(
            "UPDATE OR IGNORE deliveries SET state = 'waiting', bundle_id = NULL, created_at = ?2
             WHERE id IN (SELECT value FROM json_each(?1))",
            params![ids, now.as_micros()],
        )?;
        tx.execute(
            "UPDATE deliveries SET state = 'failed', last_error = 'another one waits for a channel'
             WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'bundled'",
            [ids],
        )?;
        self.fold_waiting(tx, now)
    }

    fn write_bundle(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        new: &NewBundle<'_>,
    ) -> Result<(), store::Error> {
        let NewBundle { channel, reason, members, tried } = *new;
        let mut worst_first: Vec<_> = members.iter().collect();
        worst_first.sort_by_key(|member| std::cmp::Reverse(member.severity));
        let items: Vec<_> =
            worst_first.iter().filter_map(|member| member.item.clone()).take(LISTED_MAX).collect();
        let quantity = members.iter().map(|member| member.quantity).sum();
        let severity = members.iter().map(|member| member.severity).max().unwrap_or(Severity::High);
        let message = NewDelivery {
            project: None,
            incident: None,
            cause: Cause::Incident,
            purpose: Purpose::Bundle,
            severity,
            channel: Some(channel),
            recipient: None,
            content: json!({"reason": reason, "items": items, "tried": tried}),
            quantity,
        };
        let Some(bundle) = self.enqueue(tx, now, &message)? else { return Ok(()) };
        let ids = ids(members);
        // What a fold stands for follows into the bundle.
        tx.execute(
            "UPDATE deliveries SET bundle_id = ?2
             WHERE bundle_id IS NOT NULL AND bundle_id IN (SELECT value FROM json_each(?1))",
            params![ids, bundle.0],
        )?;
        // A first message without a channel becomes this channel's, unless it has one already.
        tx.execute(
            "UPDATE deliveries SET state = 'bundled', bundle_id = ?2, next_attempt_at = NULL,
                    channel_id = CASE WHEN channel_id IS NOT NULL THEN channel_id
                        WHEN EXISTS (SELECT 1 FROM deliveries told
                                     WHERE told.incident_id = deliveries.incident_id AND told.channel_id = ?3
                                       AND told.purpose = 'opened' AND told.state <> 'failed') THEN NULL
                        ELSE ?3 END
             WHERE id IN (SELECT value FROM json_each(?1))",
            params![ids, bundle.0, channel.0],
        )?;
        tx.touch(DELIVERIES);
        Ok(())
    }
}

/// Takes an incident's repetitions out of the bundles that were not sent yet; a bundle of nothing else is cancelled with
/// them. Answers how many.
pub(super) fn take_rings_out(
    tx: &WriteTx<'_>,
    incident: IncidentId,
    reason: &str,
) -> Result<usize, store::Error> {
    let rings = tx.all(
        "SELECT r.id, b.id, b.content FROM deliveries r JOIN deliveries b ON b.id = r.bundle_id
         WHERE r.incident_id = ?1 AND r.purpose = 'ring_again' AND r.state = 'bundled' AND b.state = 'pending'
         LIMIT ?2",
        params![incident.0, MEMBERS_MAX],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, rows::json(row, 2)?)),
    )?;
    let count = rings.len();
    for (ring, bundle, mut content) in rings {
        if let Some(items) = content.get_mut("items").and_then(Value::as_array_mut) {
            items.retain(|item| {
                item["incident"] != incident.0 || item["purpose"] != Purpose::RingAgain.as_str()
            });
        }
        tx.execute(
            "UPDATE deliveries SET state = 'cancelled', bundle_id = NULL, last_error = ?2 WHERE id = ?1",
            params![ring, reason],
        )?;
        tx.execute(
            "UPDATE deliveries SET quantity = quantity - 1, content = ?2 WHERE id = ?1",
            params![bundle, content.to_string()],
        )?;
        tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, last_error = ?2
             WHERE id = ?1 AND quantity = 0",
            params![bundle, reason],
        )?;
    }
    Ok(count)
}

/// Of a failed bundle, what another channel was told or will be: it needs no further way.
fn give_up_known(tx: &WriteTx<'_>, bundle: DeliveryId) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE deliveries SET state = 'failed', last_error = 'its bundle failed; another channel knows'
         WHERE bundle_id = ?1 AND state = 'bundled' AND EXISTS (
             SELECT 1 FROM deliveries told
             WHERE told.incident_id = deliveries.incident_id AND told.purpose = 'opened'
               AND told.state IN ('pending', 'sending', 'delivered', 'bundled')
               AND told.channel_id <> deliveries.channel_id)",
        [bundle.0],
    )?;
    Ok(())
}

fn ids(members: &[Member]) -> String {
    Value::from(members.iter().map(|member| member.id.0).collect::<Vec<_>>()).to_string()
}

fn read_member(row: &store::Row<'_>) -> rusqlite::Result<Member> {
    let severity = rows::severity(row, 2)?;
    let quantity: i64 = row.get(3)?;
    let purpose = rows::word(row, 4, Purpose::parse)?;
    let summary = match purpose {
        Purpose::Digest => Some(format!("{quantity} new errors in a project's first day")),
        _ => row.get(6)?,
    };
    let item = json!({
        "incident": row.get::<_, Option<i64>>(5)?,
        "summary": summary,
        "severity": severity.as_str(),
        "purpose": purpose.as_str(),
        "quantity": quantity,
    });
    Ok(Member {
        id: DeliveryId(row.get(0)?),
        project: row.get::<_, Option<i64>>(1)?.map(ProjectId),
        severity,
        quantity,
        item: (purpose != Purpose::Bundle).then_some(item),
    })
}
