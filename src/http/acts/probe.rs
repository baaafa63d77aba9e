//! Making, changing, pausing, removing and trying probes, for pages and the JSON API.

use super::refused::{Refused, check_seen};
use super::rights::{self, Act, Thing};
use crate::accounts::{By, Visible};
use crate::base::{ProjectId, Secret, Timestamp};
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::prober::Reach;
use crate::probes::{Checked, Draft, Error, Kind, Outline, Owner, Probe, Probes, Secrets, outline, queries};
use crate::store::{ReadTx, WriteTx};

/// What is done to probes that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Until then, or until somebody resumes it; one that is paused is paused anew.
    Pause(Option<Timestamp>),
    /// Until somebody resumes it; one that is paused stays so, with its end.
    PauseRest,
    Resume,
    Remove,
}

/// Which probe a draft makes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    New,
    /// Under the draft's key, or the first free one made of it.
    NewUnderFreeKey,
    /// The one of the draft's key; `seen`: the version that the change was made of, where it is known.
    Known {
        seen: Option<i64>,
    },
}

/// A probe as far as this program understands it.
#[derive(Debug)]
pub enum Known {
    Probe(Box<Probe>),
    /// A newer version wrote it.
    Newer(Outline),
}

impl Step {
    const fn act(self) -> Act {
        match self {
            Self::Pause(_) | Self::PauseRest => Act::Pause,
            Self::Resume => Act::Resume,
            Self::Remove => Act::Remove,
        }
    }
}

/// Checks that somebody may do this to a probe of this kind.
///
/// # Errors
/// As [`rights::check`].
pub fn check(caller: &Caller, act: Act, project: ProjectId, kind: Kind) -> Result<(), Problem> {
    rights::check(caller, act, Thing::Probe(kind), Some(project))
}

/// The probe of this key, if the caller may know of it.
///
/// # Errors
/// [`Problem::not_found`], also where it belongs to a project that the caller may not know of; [`Error::Newer`].
pub fn find(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Probe, Problem> {
    match find_any(tx, visible, key)? {
        Known::Probe(probe) => Ok(*probe),
        Known::Newer(outline) => Err(Error::Newer(outline.key).into()),
    }
}

/// As [`find`], also what a newer version wrote.
///
/// # Errors
/// [`Problem::not_found`]
pub fn find_any(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Known, Problem> {
    let not_found = || Problem::not_found("probe");
    match queries::find(tx, visible, key) {
        Err(error) if error.is_of_one_row() => {
            Ok(Known::Newer(outline::find(tx, visible, key)?.ok_or_else(not_found)?))
        }
        found => Ok(Known::Probe(Box::new(found?.ok_or_else(not_found)?))),
    }
}

/// As [`find`], for a probe to which the caller may do this.
///
/// # Errors
/// As [`find`] and [`check`].
pub fn find_to(tx: &ReadTx<'_>, caller: &Caller, act: Act, key: &str) -> Result<Probe, Problem> {
    let probe = find(tx, &caller.visible(), key)?;
    check(caller, act, probe.project, probe.definition.kind())?;
    Ok(probe)
}

/// Makes and changes probes for somebody, in the caller's transaction.
#[derive(Debug)]
pub struct Saver {
    probes: Probes,
    by: By,
    caller: Caller,
    reach: Reach,
}

/// What was saved.
#[derive(Debug)]
pub struct Saved {
    pub key: String,
    /// Of a new probe that is reported to: the secret part of its address, which is told once.
    pub token: Option<Secret>,
}

impl Saver {
    pub fn new(state: &AppState, caller: Caller) -> Self {
        let (probes, by) = (state.prober.probes.clone(), caller.by(state.clock.now()));
        Self { probes, by, caller, reach: state.prober.reach(Owner::Page) }
    }

    /// Makes or changes a probe; whether the caller may, and whether somebody changed it since, is asked here, in the
    /// same write.
    ///
    /// # Errors
    /// [`Refused`]. Whoever may not do it is told that before what is wrong with the draft.
    pub fn save(&self, tx: &WriteTx<'_>, mut draft: Draft, aim: Aim) -> Result<Saved, Refused<Error>> {
        let known = match aim {
            Aim::New | Aim::NewUnderFreeKey => None,
            Aim::Known { seen } => {
                let known = find_to(tx, &self.caller, Act::Change, &draft.key)?;
                check_seen("probe", seen, known.version)?;
                Some(known)
            }
        };
        let act = if known.is_some() { Act::Change } else { Act::Make };
        let (kind, target) = (draft.definition.kind(), &draft.definition.target);
        check(&self.caller, act, draft.project, kind)?;
        // One that a file made may stay where only files lead, until somebody changes where it leads.
        if known.as_ref().is_none_or(|known| known.definition.target != *target) {
            self.reach.check(target).map_err(Error::from)?;
        }
        if known.is_some() {
            self.probes.save(tx, &self.by, &draft)?;
            return Ok(Saved { key: draft.key, token: None });
        }
        if aim == Aim::NewUnderFreeKey {
            draft.key = queries::free_key(tx, &draft.key)?;
        }
        let id = self.probes.create(tx, &self.by, &draft)?;
        let is_pushed = kind == Kind::Push;
        let token = is_pushed.then(|| self.probes.renew_token(tx, &self.by, id)).transpose()?;
        Ok(Saved { key: draft.key, token })
    }
}

/// As [`Saver::save`], in a write of its own.
///
/// # Errors
/// As [`Saver::save`].
pub async fn save(state: &AppState, caller: Caller, draft: Draft, aim: Aim) -> Result<Saved, Refused<Error>> {
    let saver = Saver::new(state, caller);
    state.store.write("probe.save", move |tx| saver.save(tx, draft, aim)).await
}

/// Does something to every probe of these keys, or to none.
///
/// # Errors
/// Where the caller does not see one or may not do it, and where a file owns what is to be removed.
pub async fn act(state: &AppState, caller: Caller, keys: Vec<String>, step: Step) -> Result<(), Problem> {
    let (probes, by) = (state.prober.probes.clone(), caller.by(state.clock.now()));
    let write = move |tx: &WriteTx<'_>| {
        for key in &keys {
            let probe =
                outline::find(tx, &caller.visible(), key)?.ok_or_else(|| Problem::not_found("probe"))?;
            rights::check(&caller, step.act(), Thing::of_probe(probe.kind()), Some(probe.project))?;
            match (step, &probe.paused) {
                (Step::Pause(until), _) => probes.pause(tx, &by, probe.id, until)?,
                (Step::PauseRest, None) => probes.pause(tx, &by, probe.id, None)?,
                (Step::PauseRest, Some(_)) => {}
                (Step::Resume, _) => probes.resume(tx, &by, probe.id)?,
                (Step::Remove, _) => probes.remove(tx, &by, probe.id, Owner::Page)?,
            }
        }
        Ok::<_, Problem>(())
    };
    state.store.write("probe.act", write).await
}

/// A new address for reports; the one before leads nowhere from now on.
///
/// # Errors
/// As [`act`]; where nothing is reported to the probe.
pub async fn renew_token(state: &AppState, caller: Caller, key: String) -> Result<(Probe, Secret), Problem> {
    let (probes, by) = (state.prober.probes.clone(), caller.by(state.clock.now()));
    let write = move |tx: &WriteTx<'_>| {
        let probe = find_to(tx, &caller, Act::RenewAddress, &key)?;
        let token = probes.renew_token(tx, &by, probe.id)?;
        Ok::<_, Problem>((probe, token))
    };
    state.store.write("probe.token", write).await
}

/// What is needed to ask a probe once as it is stored.
#[derive(Debug)]
pub struct Trial {
    pub checked: Checked,
    pub secrets: Secrets,
    pub owner: Owner,
}

/// A trial of the probe of this key, as it is stored.
///
/// # Errors
/// Where the caller does not see it or may not try it, and where its secrets cannot be opened.
pub async fn stored_trial(state: &AppState, caller: Caller, key: String) -> Result<Trial, Problem> {
    let probes = state.prober.probes.clone();
    let read = move |tx: &ReadTx<'_>| {
        let probe = find_to(tx, &caller, Act::Try, &key)?;
        let secrets = probes.open(&probe)?;
        let checked = probe.definition.check(&secrets).map_err(Error::from)?;
        Ok::<_, Problem>(Trial { checked, secrets, owner: probe.owner })
    };
    state.store.read(read).await
}

/// A trial of a draft; with the secrets of `of`, whose key it has, where it may have them ([`Probes::secrets_of`]).
///
/// # Errors
/// [`Refused::Draft`] where something of it is wrong, or it may not have a secret.
pub fn draft_trial(
    probes: &Probes,
    caller: &Caller,
    of: Option<&Probe>,
    draft: Draft,
) -> Result<Trial, Refused<Error>> {
    check(caller, Act::Try, draft.project, draft.definition.kind())?;
    if let Some(of) = of {
        check(caller, Act::Try, of.project, of.definition.kind())?;
    }
    let secrets = probes.secrets_of(of, &draft)?;
    let checked = draft.definition.check(&secrets).map_err(Error::from)?;
    Ok(Trial { checked, secrets, owner: Owner::Page })
}
