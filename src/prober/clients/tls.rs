//! The certificates that a server shows.

use super::dial::{self, Distrusted};
use super::question::{Looking, With};
use super::trust::chain_expires_in;
use crate::probes::condition::Value;
use crate::probes::seen::Failed;
use crate::probes::target::Tls;

/// A handshake, and nothing more. A chain that nobody vouches for is what conditions ask about, not a failure.
pub(super) async fn ask(target: &Tls, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let stream = dial::connect(&target.host, target.port, with.reach, looking).await?;
    let name = target.server_name.as_deref().unwrap_or(&target.host);
    let (stream, shown) = dial::encrypt(stream, name, with.trust, Distrusted::Taken, looking).await?;
    if let Some(seconds) = chain_expires_in(stream.get_ref().1, looking.now) {
        looking.facts.set("cert.chain_expires_in", Value::seconds(seconds));
    }
    looking.sample.head = shown.describe();
    looking.sample.lines = shown.lines();
    Ok(())
}
