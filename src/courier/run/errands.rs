//! What the loop waits for: each is a future that ends in an [`Event`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::send::{Came, Place};
use super::Loop;
use crate::base::Timestamp;
use crate::base::seal::Sealer;
use crate::resilience::Call;
use crate::store::{Error, ReadTx, WriteTx};
use crate::webhooks::breaker_state::{self, SharedBreaker};
use crate::webhooks::claim::{self, Claim, Want};
use crate::webhooks::delivery::Claimed;
use crate::webhooks::outcome::Outcome;
use crate::webhooks::parcel::{self, Lost};
use crate::webhooks::recover::recover;
use crate::webhooks::target::{self, Target};
use crate::webhooks::{DestinationId, Payload};

/// Something that was waited for.
pub(super) enum Event {
    /// What another process left behind is due again.
    Recovered,
    /// `None`: it could not be read.
    Loaded(Option<Known>),
    /// As [`Event::Loaded`].
    Looked(Option<BTreeMap<DestinationId, Timestamp>>),
    Claimed(Ready),
    Sent(Box<Sent>),
    /// An outcome is on disk, or nobody takes it any more.
    Wrote,
}

/// The destinations, and their breakers as they were stored.
pub(super) struct Known {
    pub(super) targets: Vec<Target>,
    pub(super) breakers: BTreeMap<DestinationId, SharedBreaker>,
}

/// What was claimed, with what it brings.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) parcels: Vec<(Claimed, Result<Payload, NotOpened>)>,
    pub(super) due: Vec<(DestinationId, Option<Timestamp>)>,
}

pub(super) enum NotOpened {
    /// The store could not be read just now.
    Later,
    Lost(Lost),
}

/// A call that ended.
pub(super) struct Sent {
    pub(super) place: Arc<Place>,
    pub(super) claimed: Claimed,
    pub(super) call: Call,
    pub(super) came: Came,
}

/// Before something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two tries to write an outcome, at first and at most.
const WRITE_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Made due again in one write.
const RECOVER_ROWS: u32 = 500;

impl Loop {
    /// Makes due again what a process before this one had under way.
    pub(super) fn recover(&self) {
        let (store, clock, boot) =
            (self.parts.store.clone(), self.parts.sender.clock.clone(), self.parts.boot);
        self.flying.push(Box::pin(async move {
            loop {
                let now = clock.now();
                let write = move |tx: &WriteTx<'_>| recover(tx, now, boot, RECOVER_ROWS);
                match store.write("webhooks.recover", write).await {
                    Ok(0) => return Event::Recovered,
                    Ok(rows) => tracing::info!(rows, "webhooks that were under way at the end are due again"),
                    Err(error) => {
                        tracing::warn!(%error, "webhooks that were under way could not be made due again yet");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }));
    }

    pub(super) fn load(&mut self) {
        self.loading = super::Errand { is_needed: false, is_under_way: true };
        let (store, webhooks, now) = (self.parts.store.clone(), self.parts.webhooks.clone(), self.now());
        self.flying.push(Box::pin(async move {
            let read = move |tx: &ReadTx<'_>| {
                let targets = target::read_all(tx, &webhooks)?;
                let breakers = breaker_state::read_all(tx, now)?;
                let breakers = breakers.into_iter().map(|(id, breaker)| (id, SharedBreaker::new(breaker)));
                Ok::<_, Error>(Known { targets, breakers: breakers.collect() })
            };
            Event::Loaded(or_later("destinations", store.read_reserved(read).await).await)
        }));
    }

    pub(super) fn look(&mut self) {
        self.looking = super::Errand { is_needed: false, is_under_way: true };
        let store = self.parts.store.clone();
        self.flying.push(Box::pin(async move {
            let due = store.read_reserved(claim::look).await.map(|due| due.into_iter().collect());
            Event::Looked(or_later("what is due", due).await)
        }));
    }

    pub(super) fn claim(&mut self, wants: Vec<Want>) {
        self.is_claiming = true;
        let (store, sealer) = (self.parts.store.clone(), self.parts.webhooks.sealer.clone());
        let (boot, now, space) = (self.parts.boot, self.now(), self.space());
        self.flying.push(Box::pin(async move {
            let write = move |tx: &WriteTx<'_>| claim::claim(tx, now, boot, &wants, space);
            let claimed = store.write("webhooks.claim", write).await;
            let Some(Claim { claimed, due }) = or_later("webhooks to send", claimed).await else {
                return Event::Claimed(Ready::default());
            };
            if claimed.is_empty() {
                return Event::Claimed(Ready { parcels: Vec::new(), due });
            }
            let read = {
                let claimed = claimed.clone();
                move |tx: &ReadTx<'_>| open(tx, &claimed, &sealer)
            };
            let parcels = match or_later("what webhooks bring", store.read_reserved(read).await).await {
                Some(payloads) => claimed.into_iter().zip(payloads).collect(),
                None => claimed.into_iter().map(|claimed| (claimed, Err(NotOpened::Later))).collect(),
            };
            Event::Claimed(Ready { parcels, due })
        }));
    }

    pub(super) fn send(&self, place: Arc<Place>, claimed: Claimed, payload: Payload, call: Call) {
        let sender = self.parts.sender.clone();
        self.flying.push(Box::pin(async move {
            let came = sender.send(&place, &claimed, payload).await;
            Event::Sent(Box::new(Sent { place, claimed, call, came }))
        }));
    }

    /// Has an outcome written, however often that must be tried: until then the delivery is this process's.
    pub(super) fn write(&mut self, outcome: Outcome) {
        self.unwritten += 1;
        let lane = self.parts.outcomes.clone();
        self.flying.push(Box::pin(async move {
            let mut wait = WRITE_AGAIN.0;
            loop {
                match lane.submit(outcome.clone()).await {
                    Ok(()) | Err(Error::Stopped) => return Event::Wrote,
                    Err(Error::Busy) => {}
                    Err(error) => {
                        let delivery = outcome.claimed.uid;
                        tracing::warn!(%error, %delivery, "what came of a webhook could not be written yet");
                    }
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WRITE_AGAIN.1);
            }
        }));
    }
}

fn open(
    tx: &ReadTx<'_>,
    claimed: &[Claimed],
    sealer: &Sealer,
) -> Result<Vec<Result<Payload, NotOpened>>, Error> {
    let sealed = parcel::read(tx, claimed)?;
    Ok(sealed.iter().map(|sealed| sealed.open(sealer).map_err(NotOpened::Lost)).collect())
}

/// What the store said, or nothing after a pause: whoever waits asks again.
async fn or_later<T>(what: &'static str, result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Stopped) => {
            // Nobody asks again: the process ends.
            tokio::time::sleep(AGAIN).await;
            None
        }
        Err(error) => {
            tracing::warn!(%error, what, "could not be read or claimed; it is tried again");
            tokio::time::sleep(AGAIN).await;
            None
        }
    }
}
