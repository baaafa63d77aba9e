//! Beginning a silence, and ending it early.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::rights::{Act, Thing, check};
use crate::accounts::Visible;
use crate::accounts::audit::{self, Change};
use crate::base::text::{BadLine, line};
use crate::base::{ProjectId, Timestamp, Uid};
use crate::http::auth::{Caller, find_project};
use crate::http::problem::sentence;
use crate::http::visible::sees_silence;
use crate::http::{AppState, Problem};
use crate::incidents::silences::{self, NewSilence, Silence};
use crate::store::ReadTx;

/// A reason is a line.
const REASON_CHARS_MAX: usize = 200;
/// A forgotten silence must end by itself.
const HOURS_MAX: u64 = 31 * 24;

/// Whoever sees only some projects cannot silence all.
const NO_PROJECT: &str = "Say in `project` which project is silenced, by its slug or number: only those who see every \
     project may leave it out.";

/// How long something is silent, from now on, and why.
#[derive(Clone, Debug)]
pub struct Lasting {
    lasts: Duration,
    reason: String,
}

/// What is to be silent, as a caller names it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// A slug or number; `None`: every project, which only those may silence who see all.
    pub project: Option<String>,
    /// A key, or a prefix ending in `*`; `None`: every key.
    pub key: Option<String>,
    pub lasting: Lasting,
}

impl Lasting {
    /// # Errors
    /// Where `hours` is none of 1 to 744 (31 days), or `reason` is no line.
    pub fn new(hours: Option<u64>, reason: &str) -> Result<Self, Problem> {
        let hours = hours.filter(|hours| (1..=HOURS_MAX).contains(hours));
        let hours = hours.ok_or_else(|| {
            Problem::bad_request(
                "Say in `hours` how long it is silent: a whole number from 1 to 744 (31 days).",
            )
        })?;
        let reason = match line("reason", reason, REASON_CHARS_MAX) {
            Ok(reason) => reason.to_owned(),
            Err(BadLine::Empty { .. }) => {
                return Err(Problem::bad_request(
                    "Say in `reason` why it is silenced: the next person wants to know.",
                ));
            }
            Err(bad) => return Err(Problem::bad_request(sentence(&bad.to_string()))),
        };
        Ok(Self { lasts: Duration::from_hours(hours), reason })
    }

    pub(super) fn silence(
        &self,
        project: Option<ProjectId>,
        key: Option<String>,
        by: &str,
        now: Timestamp,
    ) -> NewSilence {
        NewSilence {
            project,
            key,
            incident: None,
            reason: self.reason.clone(),
            created_by: by.to_owned(),
            starts_at: now,
            ends_at: now + self.lasts,
        }
    }

    pub(super) fn detail(&self) -> Value {
        json!({ "hours": self.lasts.as_secs() / 3600, "reason": self.reason })
    }
}

/// Begins a silence.
///
/// # Errors
/// Where the caller does not see the project or may not silence it.
pub async fn begin(state: &AppState, caller: Caller, wanted: Wanted) -> Result<Silence, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    state
        .store
        .write("silence.create", move |tx| {
            let visible = caller.visible();
            let project = match &wanted.project {
                Some(named) => Some(find_project(tx, &visible, named)?.id),
                None if visible != Visible::All => return Err(Problem::bad_request(NO_PROJECT)),
                None => None,
            };
            check(&caller, Act::Make, Thing::Silence, project)?;
            let by = caller.by(now);
            let silence = wanted.lasting.silence(project, wanted.key, &by.actor.to_string(), now);
            let id = incidents.silence(tx, now, &silence)?;
            let begun = silences::list(tx)?.into_iter().find(|silence| silence.id == id);
            let begun = begun.ok_or_else(|| Problem::not_found("silence"))?;
            let (subject, detail) = (begun.subject(), wanted.lasting.detail());
            audit::append(tx, &by, &Change { action: "silence.create", subject: &subject, project, detail })?;
            Ok(begun)
        })
        .await
}

/// Ends a silence early.
///
/// # Errors
/// Where the caller does not know of it or may not end it, and where it is over.
pub async fn end(state: &AppState, caller: Caller, id: Uid) -> Result<Silence, Problem> {
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    state
        .store
        .write("silence.end", move |tx| {
            let find = |tx| find(tx, &caller.visible(), id);
            let found = find(tx)?;
            check(&caller, Act::Change, Thing::Silence, found.project)?;
            incidents.end_silence(tx, now, found.id)?;
            let (by, project, subject) = (caller.by(now), found.project, found.subject());
            let detail = json!({ "reason": found.reason });
            audit::append(tx, &by, &Change { action: "silence.end", subject: &subject, project, detail })?;
            find(tx)
        })
        .await
}

fn find(tx: &ReadTx<'_>, visible: &Visible, id: Uid) -> Result<Silence, Problem> {
    let found = silences::list(tx)?.into_iter().find(|silence| silence.uid == id);
    found.filter(|silence| sees_silence(visible, silence)).ok_or_else(|| Problem::not_found("silence"))
}
