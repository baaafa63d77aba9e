//! Probes for which a service rings, because it needs only some of its members.

use super::{Error, PROBES, ProbeId, Probes, ring};
use crate::base::Timestamp;
use crate::store::{WriteTx, params};

impl Probes {
    /// Says whether a service rings for a probe. What rings is level with it afterwards. No such probe: nothing.
    ///
    /// # Errors
    /// Where the incident cannot be written.
    pub fn set_grouped(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        id: ProbeId,
        grouped: bool,
    ) -> Result<(), Error> {
        let changed = tx.execute(
            "UPDATE probes SET grouped = ?2 WHERE id = ?1 AND grouped <> ?2",
            params![id.0, grouped],
        )?;
        if changed > 0 {
            ring::level(tx, &self.incidents, now, id)?;
            tx.touch(PROBES);
        }
        Ok(())
    }
}
