//! What is done with deliveries of webhooks, one or several at a time, for pages.

use std::sync::Arc;

use super::rights::{self, Thing};
use super::webhook::{DeliveryStep, find_delivery};
use crate::base::Uid;
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::store::WriteTx;
use crate::webhooks::queries::DeskLine;
use crate::webhooks::replay_one::{self, Error};

/// Does something to every delivery that is named, or to none; those that are so already are passed over. Returns those
/// that were changed, as they are then.
///
/// # Errors
/// Where the caller does not see one or may not do it, and where it is not so that this can be done.
pub async fn act_on_all(
    state: &AppState,
    caller: Caller,
    ids: Vec<Uid>,
    step: DeliveryStep,
) -> Result<Vec<DeskLine>, Problem> {
    let (incidents, by) = (Arc::clone(&state.incidents), caller.by(state.clock.now()));
    let write = move |tx: &WriteTx<'_>| {
        let mut changed = Vec::new();
        for id in ids {
            let (found, line) = find_delivery(tx, &caller.visible(), id)?;
            rights::check(&caller, step.act(), Thing::Webhook, Some(line.project))?;
            let done = match step {
                DeliveryStep::Replay => replay_one::replay(tx, &incidents, &by, found),
                DeliveryStep::Settle => replay_one::settle(tx, &incidents, &by, found),
                DeliveryStep::Reopen => replay_one::unsettle(tx, &by, found),
            };
            match done {
                Ok(()) => changed.push(find_delivery(tx, &caller.visible(), id)?.1),
                Err(Error::Settled | Error::NotDead | Error::NotSettled) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok::<_, Problem>(changed)
    };
    state.store.write("webhook_deliveries.act", write).await
}
