//! A clock that was set back must not leave alarms waiting for the hour it showed before.

use crate::base::Timestamp;
use crate::store::{self, WriteTx, params};

use super::{DELIVERIES, INCIDENTS, Incidents};

impl Incidents {
    /// Brings what lies further ahead than its own interval allows back to that interval from now. Answers how many
    /// rows; none while the clock runs forward.
    pub(super) fn mind_clock(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<usize, store::Error> {
        let rings = self.mind_rings(tx, now)?;
        let holds = tx.execute(
            "UPDATE witnesses SET ok_since = ?1 WHERE live = 1 AND state = 'holding' AND ok_since > ?1",
            [now.as_micros()],
        )?;
        let quiet = tx.execute(
            "UPDATE witnesses SET last_bad_at = ?1
             WHERE live = 1 AND kind = 'occurrence' AND state = 'firing' AND last_bad_at > ?1",
            [now.as_micros()],
        )?;
        let digests = tx.execute(
            "UPDATE digest_entries SET due_at = ?1 + max(due_at - at, 0), at = ?1 WHERE at > ?1",
            [now.as_micros()],
        )?;
        let sendings = self.mind_sendings(tx, now)?;
        let moved = rings + holds + quiet + digests;
        if moved > 0 {
            tx.touch(INCIDENTS);
        }
        if sendings > 0 {
            tx.touch(DELIVERIES);
        }
        Ok(moved + sendings)
    }

    fn mind_rings(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<usize, store::Error> {
        let ring = self.policy.ring;
        let waits = [ring.again_after, ring.climb_after.saturating_sub(ring.again_after), ring.then_every];
        let mut moved = 0;
        for (rings, wait) in (0_i64..).zip(waits) {
            moved += tx.execute(
                "UPDATE incidents SET next_ring_at = ?1
                 WHERE next_ring_at > ?1 AND (rings = ?2 OR (?2 = 2 AND rings > 2))",
                params![(now + wait).as_micros(), rings],
            )?;
        }
        Ok(moved)
    }

    /// Each of these was set at a time that is known: where that lies ahead, the wait begins anew.
    fn mind_sendings(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<usize, store::Error> {
        let leases = tx.execute(
            "UPDATE deliveries SET lease_until = ?1 WHERE state = 'sending' AND lease_until > ?1",
            [(now + self.policy.lease).as_micros()],
        )?;
        let channels = tx.execute(
            "UPDATE channels SET open_until = ?1 + max(open_until - health_at, 0),
                    paced_until = ?1 + max(paced_until - health_at, 0), health_at = ?1
             WHERE health_at > ?1",
            [now.as_micros()],
        )?;
        let pending = tx.execute(
            "WITH late AS (
                 SELECT d.id, max(d.created_at,
                     ifnull((SELECT max(a.at) FROM delivery_attempts a
                             WHERE a.delivery_id IN (d.id, d.follows)), 0)) AS set_at
                 FROM deliveries d WHERE d.state = 'pending' AND d.next_attempt_at > ?1)
             UPDATE deliveries SET
                 next_attempt_at = ?1 + max(next_attempt_at - (SELECT set_at FROM late WHERE late.id = deliveries.id), 0),
                 created_at = min(created_at, ?1), tried_since = min(tried_since, ?1)
             WHERE id IN (SELECT id FROM late WHERE set_at > ?1)",
            [now.as_micros()],
        )?;
        let waiting = tx.execute(
            "UPDATE deliveries INDEXED BY deliveries_waiting SET created_at = ?1
             WHERE state = 'waiting' AND created_at > ?1",
            [now.as_micros()],
        )?;
        Ok(leases + channels + pending + waiting)
    }
}
