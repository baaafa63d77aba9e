//! Judges sources and destinations by what they did lately, and tells the incidents where one begins to be in trouble or
//! is out of it: the task `webhooks.watch`.
//!
//! Breakers and dead letters are told where they happen, with the outcome that causes them; here is what only time shows.

mod facts;
pub mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::alarms::About;
use super::{DESTINATIONS_MAX, Destination, DestinationId, SOURCES_MAX, Source, SourceId, rows};
use crate::base::{Severity, Timestamp, span};
use crate::incidents::queries::{FIRING_KEYS_MAX, firing_keys};
use crate::incidents::{self, Incidents, Signal, SignalKind};
use crate::store::{Error, ReadTx, WriteTx};
use crate::vigil::{self, Spell};
use rules::{Came, Judgement, Recent};

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Backlog,
    Failing(Recent),
    Slow(Recent),
    Silent,
    Refused(Came),
}

/// A source or a destination that began to be in trouble, or is out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    of: Subject,
    signal: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Source(SourceId),
    Destination(DestinationId),
}

/// How many began and ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub begun: u32,
    pub over: u32,
}

/// What is to be told by now.
///
/// # Errors
/// Where it cannot be read.
pub fn look(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<Change>, Error> {
    let sources = tx.all(
        &format!("{} WHERE projects.archived_at IS NULL LIMIT {SOURCES_MAX}", rows::SOURCES),
        [],
        rows::source,
    )?;
    let destinations =
        tx.all(&format!("{} LIMIT {DESTINATIONS_MAX}", rows::DESTINATIONS), [], rows::destination)?;
    let mut watch = Watch {
        tx,
        now,
        firing: firing(tx)?,
        lately: vigil::between(tx, now - rules::WINDOW, now)?,
        changes: Vec::new(),
    };
    for source in &sources {
        watch.source(source)?;
    }
    let sources: BTreeMap<SourceId, &Source> = sources.iter().map(|source| (source.id, source)).collect();
    for destination in &destinations {
        if let Some(source) = sources.get(&destination.source) {
            watch.destination(source, destination)?;
        }
    }
    Ok(watch.changes)
}

/// Tells it, unless its subject was removed meanwhile.
///
/// # Errors
/// Where it cannot be written.
pub fn tell(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    changes: &[Change],
) -> Result<Told, incidents::Error> {
    let mut told = Told::default();
    for Change { of, signal } in changes {
        let is_there = match of {
            Subject::Source(id) => rows::find_source(tx, *id)?.is_some(),
            Subject::Destination(id) => rows::find_destination(tx, *id)?.is_some(),
        };
        if is_there {
            incidents.raise(tx, now, signal)?;
            told.begun += u32::from(signal.kind.is_bad());
            told.over += u32::from(!signal.kind.is_bad());
        }
    }
    Ok(told)
}

/// One look at all of them.
struct Watch<'t, 'c> {
    tx: &'t ReadTx<'c>,
    now: Timestamp,
    /// Keys of what fires already.
    firing: BTreeSet<String>,
    /// When tocsin was blind lately.
    lately: Vec<Spell>,
    changes: Vec<Change>,
}

impl Watch<'_, '_> {
    fn source(&mut self, source: &Source) -> Result<(), Error> {
        let [silent, refused] = source.id.signal_keys();
        let about = About::of(source, &source.name);
        let of = Subject::Source(source.id);
        let judged = match source.definition.silent_after {
            None => Judgement::Well,
            Some(patience) => {
                let heard_at = facts::heard_at(self.tx, source)?;
                let spells = self.spells_since(heard_at)?;
                rules::silent(heard_at, patience, &spells, self.now)
            }
        };
        self.note((of, &about, silent), source, Trouble::Silent, judged);
        let came = facts::came(self.tx, source.id, self.now)?;
        self.note((of, &about, refused), source, Trouble::Refused(came), rules::refused(&came, self.now));
        Ok(())
    }

    fn destination(&mut self, source: &Source, destination: &Destination) -> Result<(), Error> {
        let (of, about) = (Subject::Destination(destination.id), About::of(source, &destination.name));
        let key = |what| destination.id.signal_key(what);
        let recent = facts::recent(self.tx, destination, self.now)?;
        // Whoever holds a destination wants everything to wait.
        let oldest = match destination.held {
            Some(_) => None,
            None => facts::oldest(self.tx, destination, recent.due_at)?,
        };
        let spells = match oldest {
            Some(oldest) => self.spells_since(oldest)?,
            None => Vec::new(),
        };
        let judged = rules::backlog(oldest, &spells, self.now);
        self.note((of, &about, key("backlog")), source, Trouble::Backlog, judged);
        let judged = rules::failing(&recent, &self.lately, self.now);
        self.note((of, &about, key("failing")), source, Trouble::Failing(recent), judged);
        let judged = rules::slow(&recent, &self.lately, self.now);
        self.note((of, &about, key("slow")), source, Trouble::Slow(recent), judged);
        Ok(())
    }

    /// Of what is older than the window it is read for each.
    fn spells_since(&self, since: Timestamp) -> Result<Vec<Spell>, Error> {
        if since >= self.now - rules::WINDOW {
            return Ok(self.lately.clone());
        }
        vigil::between(self.tx, since, self.now)
    }

    fn note(
        &mut self,
        (of, about, key): (Subject, &About<'_>, String),
        source: &Source,
        trouble: Trouble,
        judged: Judgement,
    ) {
        let (since, kind) = match (judged, self.firing.contains(&key)) {
            (Judgement::Bad { since }, false) => (since, SignalKind::Firing),
            (Judgement::Well, true) => (self.now, SignalKind::Ok),
            (Judgement::Bad { .. }, true) | (Judgement::Well, false) | (Judgement::Unclear, _) => return,
        };
        let signal = about.signal(self.now, key, incidents::Source::Webhook, &trouble.detail(source));
        let severity = trouble.severity(about.severity);
        let summary = trouble.summary(about.name, source);
        let signal = Signal { severity, summary, kind, first_bad_at: since, ..signal };
        self.changes.push(Change { of, signal });
    }
}

impl Trouble {
    /// In one line, with what to do.
    fn summary(&self, name: &str, source: &Source) -> String {
        let minutes = rules::WINDOW.as_secs() / 60;
        match self {
            Self::Backlog => format!(
                "Deliveries to {name} wait for more than {} min: see whether its app answers, or let more go at once",
                rules::BACKLOG_AGE.as_secs() / 60
            ),
            Self::Failing(Recent { attempts, failures, .. }) => format!(
                "{failures} of {attempts} deliveries to {name} failed within {minutes} min: see what its app answers"
            ),
            Self::Slow(Recent { answers, slow, .. }) => format!(
                "{slow} of {answers} answers of {name} took over a second within {minutes} min: let the app answer \
                 first and work afterwards"
            ),
            Self::Silent => {
                let patience = source.definition.silent_after.map(span::format).unwrap_or_default();
                format!("Nothing came from {name} for {patience}: see whether its provider still sends")
            }
            Self::Refused(Came { believed, refused }) => format!(
                "{refused} of {} calls to {name} were not believed: check its signing secret on both sides",
                believed + refused
            ),
        }
    }

    fn detail(&self, source: &Source) -> Value {
        let (name, source) = (self.name(), source.name.as_str());
        match self {
            Self::Backlog | Self::Silent => json!({ "trouble": name, "source": source }),
            Self::Failing(Recent { attempts, failures, .. }) => {
                json!({ "trouble": name, "source": source, "attempts": attempts, "failures": failures })
            }
            Self::Slow(Recent { answers, slow, .. }) => {
                json!({ "trouble": name, "source": source, "answers": answers, "slow": slow })
            }
            Self::Refused(Came { believed, refused }) => {
                json!({ "trouble": name, "source": source, "believed": believed, "refused": refused })
            }
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Failing(_) => "failing",
            Self::Slow(_) => "slow",
            Self::Silent => "silent",
            Self::Refused(_) => "refused",
        }
    }

    /// An app that is slow loses nothing: no more than a warning.
    fn severity(self, of_source: Severity) -> Severity {
        match self {
            Self::Slow(_) => of_source.min(Severity::Medium),
            Self::Backlog | Self::Failing(_) | Self::Silent | Self::Refused(_) => of_source,
        }
    }
}

/// Keys of all alarms of webhooks that fire now.
fn firing(tx: &ReadTx<'_>) -> Result<BTreeSet<String>, Error> {
    let mut all = BTreeSet::<String>::new();
    loop {
        let after = all.last().cloned().unwrap_or_default();
        let keys = firing_keys(tx, incidents::Source::Webhook, &after)?;
        let is_last = keys.len() < FIRING_KEYS_MAX as usize;
        all.extend(keys);
        if is_last {
            return Ok(all);
        }
    }
}
