//! Tokens with which results are reported to a probe of kind push.

use super::kind::Kind;
use super::pause::seen_by;
use super::save::{Probes, note};
use super::{Error, PROBES, Probe, ProbeId, rows};
use crate::accounts::{By, TokenHash};
use crate::base::Secret;
use crate::store::{self, ReadTx, WriteTx, params};

impl Probes {
    /// Gives a probe a new token and forgets the one it had. Shown once; also for a probe that a file owns.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotPushed`].
    pub fn renew_token(&self, tx: &WriteTx<'_>, by: &By, id: ProbeId) -> Result<Secret, Error> {
        let probe = seen_by(tx, by, id)?;
        if probe.kind() != Some(Kind::Push) {
            return Err(Error::NotPushed);
        }
        let token = self.incidents.entropy.token();
        tx.execute(
            "UPDATE probes SET push_hash = ?2 WHERE id = ?1",
            params![id.0, TokenHash::of(&token).as_bytes()],
        )?;
        note(tx, by, "probe.token", (&probe.key, probe.project), serde_json::Value::Null)?;
        tx.touch(PROBES);
        Ok(Secret::new(token))
    }
}

/// The probe to which a token reports.
pub fn find_by_token(tx: &ReadTx<'_>, token: &str) -> Result<Option<Probe>, store::Error> {
    let hash = TokenHash::of(token);
    tx.first(&format!("{} WHERE probes.push_hash = ?1", rows::PROBES), params![hash.as_bytes()], rows::probe)
}
