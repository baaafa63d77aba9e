//! Making, changing, holding and removing sources and destinations of webhooks, and what is done with their deliveries,
//! for pages and the JSON API.

use std::sync::Arc;

use super::refused::{Refused, check_seen};
use super::rights::{self, Act, Thing};
use crate::accounts::{By, Visible};
use crate::base::{Owner, ProjectId, Secret, Uid};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};
use crate::webhooks::queries::{self, DeskLine, DestinationLine, SourceLine};
use crate::webhooks::{
    DeliveryId, Destination, DestinationDraft, DestinationId, Error, Source, SourceDraft, SourceId, Webhooks,
    replay_one,
};

/// Which source or destination a draft makes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    New,
    /// The one of the draft's key; `seen`: the version that the change was made of, where it is known.
    Known {
        seen: Option<i64>,
    },
}

/// What is done to destinations that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is sent to it, and everything waits.
    Hold,
    Resume,
    Remove,
}

/// What is done to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStep {
    Replay,
    /// Of a dead letter: it is dealt with.
    Settle,
    /// Takes [`DeliveryStep::Settle`] back.
    Reopen,
}

impl Step {
    const fn act(self) -> Act {
        match self {
            Self::Hold => Act::Pause,
            Self::Resume => Act::Resume,
            Self::Remove => Act::Remove,
        }
    }
}

impl DeliveryStep {
    pub(super) const fn act(self) -> Act {
        match self {
            Self::Replay => Act::Replay,
            Self::Settle | Self::Reopen => Act::Settle,
        }
    }
}

/// What makes and changes sources and destinations.
pub fn webhooks_of(state: &AppState) -> Webhooks {
    Webhooks { incidents: Arc::clone(&state.incidents), sealer: state.sealer.clone() }
}

/// Checks that somebody may do this to what is of a project.
///
/// # Errors
/// As [`rights::check`].
pub fn check(caller: &Caller, act: Act, project: ProjectId) -> Result<(), Problem> {
    rights::check(caller, act, Thing::Webhook, Some(project))
}

/// The source of this key, if the caller may know of it.
///
/// # Errors
/// [`Problem::not_found`], also where it belongs to a project that the caller may not know of.
pub fn find_source(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<SourceLine, Problem> {
    queries::find_source(tx, visible, key)?.ok_or_else(|| Problem::not_found("source of webhooks"))
}

/// As [`find_source`], for a source to which the caller may do this.
///
/// # Errors
/// As [`find_source`] and [`check`].
pub fn find_source_to(tx: &ReadTx<'_>, caller: &Caller, act: Act, key: &str) -> Result<Source, Problem> {
    let source = find_source(tx, &caller.visible(), key)?.source;
    check(caller, act, source.project)?;
    Ok(source)
}

/// The destination of this key, if the caller may know of it.
///
/// # Errors
/// As [`find_source`].
pub fn find_destination(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<DestinationLine, Problem> {
    queries::find_destination(tx, visible, key)?.ok_or_else(|| Problem::not_found("destination of webhooks"))
}

/// As [`find_destination`], for a destination to which the caller may do this.
///
/// # Errors
/// As [`find_source`] and [`check`].
pub fn find_destination_to(
    tx: &ReadTx<'_>,
    caller: &Caller,
    act: Act,
    key: &str,
) -> Result<Destination, Problem> {
    let destination = find_destination(tx, &caller.visible(), key)?.destination;
    check(caller, act, destination.project)?;
    Ok(destination)
}

/// Makes and changes sources and destinations for somebody, in the caller's transaction. Whether they may, and whether
/// somebody changed the thing since, is asked here, in the same write; whoever may not do it is told that before what is
/// wrong with the draft.
#[derive(Debug)]
pub struct Saver {
    webhooks: Webhooks,
    by: By,
    caller: Caller,
}

impl Saver {
    pub fn new(state: &AppState, caller: Caller) -> Self {
        Self { webhooks: webhooks_of(state), by: caller.by(state.clock.now()), caller }
    }

    /// # Errors
    /// [`Refused`]
    pub fn source(
        &self,
        tx: &WriteTx<'_>,
        draft: &SourceDraft,
        aim: Aim,
    ) -> Result<SourceId, Refused<Error>> {
        match aim {
            Aim::New => {
                check(&self.caller, Act::Make, draft.project)?;
                Ok(self.webhooks.create_source(tx, &self.by, draft)?)
            }
            Aim::Known { seen } => {
                self.known_source(tx, &draft.key, seen)?;
                Ok(self.webhooks.save_source(tx, &self.by, draft)?.0)
            }
        }
    }

    /// `draft.source` is one that the caller may know of.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn destination(
        &self,
        tx: &WriteTx<'_>,
        (draft, project): (&DestinationDraft, ProjectId),
        aim: Aim,
    ) -> Result<DestinationId, Refused<Error>> {
        match aim {
            Aim::New => {
                check(&self.caller, Act::Make, project)?;
                Ok(self.webhooks.create_destination(tx, &self.by, draft)?)
            }
            Aim::Known { seen } => {
                let known = find_destination_to(tx, &self.caller, Act::Change, &draft.key)?;
                check_seen("destination", seen, known.version)?;
                Ok(self.webhooks.save_destination(tx, &self.by, draft)?.0)
            }
        }
    }

    /// Adds a secret to a source, the newest from now on.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn add_secret(
        &self,
        tx: &WriteTx<'_>,
        (key, seen): (&str, Option<i64>),
        secret: &Secret,
    ) -> Result<(), Refused<Error>> {
        let source = self.known_source(tx, key, seen)?;
        Ok(self.webhooks.add_secret(tx, &self.by, source.id, secret)?)
    }

    /// Removes the secret at this place, 0 the newest.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn remove_secret(
        &self,
        tx: &WriteTx<'_>,
        (key, seen): (&str, Option<i64>),
        place: usize,
    ) -> Result<(), Refused<Error>> {
        let source = self.known_source(tx, key, seen)?;
        Ok(self.webhooks.remove_secret(tx, &self.by, source.id, place)?)
    }

    /// Removes a source with its destinations.
    ///
    /// # Errors
    /// Where the caller does not see it or may not remove it, and where a file owns it.
    pub fn remove_source(&self, tx: &WriteTx<'_>, key: &str) -> Result<(), Problem> {
        let source = find_source_to(tx, &self.caller, Act::Remove, key)?;
        Ok(self.webhooks.remove_source(tx, &self.by, source.id, Owner::Page)?)
    }

    fn known_source(&self, tx: &ReadTx<'_>, key: &str, seen: Option<i64>) -> Result<Source, Refused<Error>> {
        let known = find_source_to(tx, &self.caller, Act::Change, key)?;
        check_seen("source", seen, known.version)?;
        Ok(known)
    }
}

/// Does something to every destination of these keys, or to none.
///
/// # Errors
/// Where the caller does not see one or may not do it, and where a file owns what is to be removed.
pub async fn act(state: &AppState, caller: Caller, keys: Vec<String>, step: Step) -> Result<(), Problem> {
    let (webhooks, by) = (webhooks_of(state), caller.by(state.clock.now()));
    let write = move |tx: &WriteTx<'_>| {
        for key in &keys {
            let id = find_destination_to(tx, &caller, step.act(), key)?.id;
            match step {
                Step::Hold => webhooks.hold(tx, &by, id, None)?,
                Step::Resume => webhooks.resume(tx, &by, id)?,
                Step::Remove => webhooks.remove_destination(tx, &by, id, Owner::Page)?,
            }
        }
        Ok::<_, Problem>(())
    };
    state.store.write("webhook_destination.act", write).await
}

/// Does something to a delivery, and says how it is then.
///
/// # Errors
/// Where the caller does not see it or may not do it, and where it is not so that this can be done.
pub async fn act_on_delivery(
    state: &AppState,
    caller: Caller,
    id: Uid,
    step: DeliveryStep,
) -> Result<DeskLine, Problem> {
    let (incidents, by) = (Arc::clone(&state.incidents), caller.by(state.clock.now()));
    let write = move |tx: &WriteTx<'_>| {
        let (found, line) = find_delivery(tx, &caller.visible(), id)?;
        check(&caller, step.act(), line.project)?;
        match step {
            DeliveryStep::Replay => replay_one::replay(tx, &incidents, &by, found)?,
            DeliveryStep::Settle => replay_one::settle(tx, &incidents, &by, found)?,
            DeliveryStep::Reopen => replay_one::unsettle(tx, &by, found)?,
        }
        Ok::<_, Problem>(find_delivery(tx, &caller.visible(), id)?.1)
    };
    state.store.write("webhook_delivery.act", write).await
}

/// The delivery of this id, if the caller may know of it.
///
/// # Errors
/// As [`find_source`].
pub fn find_delivery(tx: &ReadTx<'_>, visible: &Visible, id: Uid) -> Result<(DeliveryId, DeskLine), Problem> {
    queries::find_delivery(tx, visible, id)?.ok_or_else(|| Problem::not_found("delivery of a webhook"))
}
