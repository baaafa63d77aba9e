//! What sends webhooks on: the loop, with a client of its own.

use super::outgoing::{read_others, trace_key};
use super::parts::BuildError;
use crate::base::{Clock, Entropy, Uid};
use crate::config::Config;
use crate::courier::{Loop, Parts, Sender, Settings};
use crate::outbound::{self, Client};
use crate::store::{Lane, Store};
use crate::webhooks::Webhooks;
use crate::webhooks::outcome::OutcomeRecord;

/// Connections kept to one app: as many as a destination may have under way.
const IDLE_MAX: usize = 100;
/// Outcomes that may wait for the writer: more than the loop has at any time.
pub(super) const OUTCOMES_WAITING_MAX: usize = 8192;

/// The loop that is to be driven.
pub(super) fn courier(
    (store, clock, entropy): (&Store, &Clock, &Entropy),
    config: &Config,
    (webhooks, outcomes, boot): (Webhooks, Lane<OutcomeRecord>, Uid),
    sealing_key: &[u8; 32],
) -> Result<Loop, BuildError> {
    let options = outbound::Options { authorities: read_others(config)?, idle_max: Some(IDLE_MAX) };
    let client = Client::new(&options).map_err(|error| BuildError::Outgoing(error.to_string()))?;
    Ok(Loop::new(Parts {
        store: store.clone(),
        outcomes,
        webhooks,
        sender: Sender { client, clock: clock.clone(), trace: trace_key(sealing_key) },
        entropy: entropy.clone(),
        boot,
        settings: Settings { concurrency: config.webhooks.concurrency },
    }))
}
