//! Many messages become one that counts and lists them.

use serde_json::{Value, json};

use crate::base::{Severity, Timestamp};
use crate::store::{self, WriteTx, params};

use super::outbox::{Cause, NewDelivery, Purpose};
use super::rows::{self, ChannelId, DeliveryId};
use super::{DELIVERIES, Incidents};

/// Named one by one in the message; the others are counted.
pub const LISTED_MAX: usize = 20;
/// Folded into one bundle per run; the next run takes the rest.
const MEMBERS_MAX: i64 = 1_000;

/// A message that goes into a bundle.
struct Member {
    id: DeliveryId,
    severity: Severity,
    quantity: i64,
    item: Value,
}

impl Incidents {
    /// Where more than `policy.bundle_over` incident messages are due at once on `channel`, makes them one.
    ///
    /// Answers how many messages the bundle took, 0 where there is none.
    pub fn bundle_due(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
    ) -> Result<usize, store::Error> {
        let members = tx.all(
            "SELECT d.id, d.severity, d.quantity, d.purpose, d.incident_id, i.summary
             FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id
             WHERE d.state = 'pending' AND d.next_attempt_at <= ?1 AND d.channel_id = ?2 AND d.cause = 'incident'
               AND d.purpose <> 'bundle'
             ORDER BY d.id LIMIT ?3",
            params![now.as_micros(), channel.0, MEMBERS_MAX],
            read_member,
        )?;
        let over = usize::try_from(self.policy.bundle_over).unwrap_or(usize::MAX);
        if members.len() <= over {
            return Ok(0);
        }
        self.write_bundle(tx, now, channel, ("burst", &members))?;
        Ok(members.len())
    }

    /// Gives `channel` what waited for a first channel: one message, whatever their number.
    pub(super) fn adopt_waiting(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
    ) -> Result<(), store::Error> {
        // All of them at once, or the channel would hear of them bit by bit: WAITING_MAX and the fold bound it.
        let members = tx.all(
            "SELECT d.id, d.severity, d.quantity, d.purpose, d.incident_id, i.summary
             FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id
             WHERE d.state = 'waiting' ORDER BY d.id DESC LIMIT ?1",
            [super::outbox::WAITING_MAX + 1],
            read_member,
        )?;
        if members.is_empty() {
            return Ok(());
        }
        self.write_bundle(tx, now, channel, ("no_channel", &members))?;
        Ok(())
    }

    fn write_bundle(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: ChannelId,
        (reason, members): (&str, &[Member]),
    ) -> Result<(), store::Error> {
        let mut worst_first: Vec<_> = members.iter().collect();
        worst_first.sort_by_key(|member| std::cmp::Reverse(member.severity));
        let items: Vec<_> = worst_first.iter().take(LISTED_MAX).map(|member| member.item.clone()).collect();
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
            content: json!({"reason": reason, "items": items}),
            quantity,
        };
        let Some(bundle) = self.enqueue(tx, now, &message)? else { return Ok(()) };
        let ids = Value::from(members.iter().map(|member| member.id.0).collect::<Vec<_>>()).to_string();
        // What a fold stands for follows into the bundle.
        tx.execute(
            "UPDATE deliveries SET bundle_id = ?2
             WHERE bundle_id IS NOT NULL AND bundle_id IN (SELECT value FROM json_each(?1))",
            params![ids, bundle.0],
        )?;
        // A waiting first message becomes this channel's, unless it has one already.
        tx.execute(
            "UPDATE deliveries SET state = 'bundled', bundle_id = ?2, next_attempt_at = NULL,
                    channel_id = CASE WHEN channel_id IS NOT NULL THEN channel_id
                        WHEN EXISTS (SELECT 1 FROM deliveries told
                                     WHERE told.incident_id = deliveries.incident_id AND told.channel_id = ?3
                                       AND told.purpose = 'opened') THEN NULL
                        ELSE ?3 END
             WHERE id IN (SELECT value FROM json_each(?1))",
            params![ids, bundle.0, channel.0],
        )?;
        tx.touch(DELIVERIES);
        Ok(())
    }
}

fn read_member(row: &store::Row<'_>) -> rusqlite::Result<Member> {
    let severity = rows::severity(row, 1)?;
    let quantity = row.get(2)?;
    let item = json!({
        "incident": row.get::<_, Option<i64>>(4)?,
        "summary": row.get::<_, Option<String>>(5)?,
        "severity": severity.as_str(),
        "purpose": row.get::<_, String>(3)?,
        "quantity": quantity,
    });
    Ok(Member { id: DeliveryId(row.get(0)?), severity, quantity, item })
}
