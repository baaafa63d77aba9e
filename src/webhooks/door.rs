//! The sources that take calls, with all that a call is judged by, in memory: a call costs no question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::filter::Filter;
use super::providers::{self, Answer, Provider, Rules};
use super::refused::Refusals;
use super::rows::{self, DESTINATIONS, SOURCES};
use super::save::Webhooks;
use super::scheme::Scheme;
use super::source::Definition;
use super::{DESTINATIONS_MAX, DestinationId, SOURCES_MAX, SourceId, WEBHOOKS};
use crate::base::{ProjectId, Secret, Timestamp, Uid};
use crate::store::{Error, ReadTx, Store};

/// A source as a call meets it.
#[derive(Debug)]
pub struct Door {
    pub id: SourceId,
    pub uid: Uid,
    pub project: ProjectId,
    pub key: String,
    pub definition: Definition,
    pub provider: &'static Provider,
    pub scheme: Scheme,
    /// What a call is.
    pub rules: Rules,
    /// The newest first. Without one nobody is believed, unless the scheme asks for none.
    pub secrets: Vec<Secret>,
    pub exits: Vec<Exit>,
}

/// A destination as an event meets it.
#[derive(Clone, Debug)]
pub struct Exit {
    pub id: DestinationId,
    pub filter: Filter,
    pub in_order: bool,
}

/// The sources of all projects that are not archived. Read anew when one changed.
pub struct Doors {
    /// Calls that were turned away.
    pub refusals: Refusals,
    webhooks: Webhooks,
    changes: watch::Receiver<u64>,
    known: Mutex<Arc<Known>>,
    /// Who reads anew; the others wait for it.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// Of the sources when they were read; `None`: never.
    version: Option<u64>,
    until: Timestamp,
    doors: HashMap<String, Arc<Door>>,
}

/// A project may be archived without anybody here being told.
const KEPT: Duration = Duration::from_mins(1);

impl Door {
    /// What a provider hears whose event was taken.
    pub fn answer(&self) -> Answer {
        match &self.definition.answer {
            Some(own) => {
                Answer { status: own.status, content_type: own.content_type.clone(), body: own.body.clone() }
            }
            None => self.provider.answer.clone(),
        }
    }

    /// Whether the provider wants to hear certain words, whatever became of the event.
    pub fn has_own_answer(&self) -> bool {
        self.answer() != Answer::default()
    }

    /// How large a body may be.
    pub fn body_bytes_max(&self, by_default: usize) -> usize {
        self.definition.body_bytes_max.unwrap_or(by_default)
    }
}

impl Doors {
    pub fn new(store: &Store, webhooks: Webhooks) -> Self {
        let (known, reading) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { refusals: Refusals::default(), changes: store.changes(WEBHOOKS), webhooks, known, reading }
    }

    /// The source at this address.
    ///
    /// # Errors
    /// Where what changed cannot be read. What merely may have changed is believed until it can.
    pub async fn find(&self, store: &Store, now: Timestamp, key: &str) -> Result<Option<Arc<Door>>, Error> {
        if let Some(known) = self.current(now) {
            return Ok(known.doors.get(key).cloned());
        }
        let _turn = self.reading.lock().await;
        if let Some(known) = self.current(now) {
            return Ok(known.doors.get(key).cloned());
        }
        // Taken before the read: what changes meanwhile is read again.
        let version = *self.changes.borrow();
        let webhooks = self.webhooks.clone();
        let doors = match store.read_reserved(move |tx| load(tx, &webhooks)).await {
            Ok(doors) => doors,
            Err(error) => {
                let known = self.known();
                return if known.version == Some(version) {
                    Ok(known.doors.get(key).cloned())
                } else {
                    Err(error)
                };
            }
        };
        let found = doors.get(key).cloned();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Known { version: Some(version), until: now + KEPT, doors });
        Ok(found)
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known, where it is still true.
    fn current(&self, now: Timestamp) -> Option<Arc<Known>> {
        let known = self.known();
        let is_old = now >= known.until || known.until > now + KEPT;
        (known.version == Some(*self.changes.borrow()) && !is_old).then_some(known)
    }
}

/// What cannot be read, because a newer program wrote it, is left out and told: it costs the others nothing.
fn load(tx: &ReadTx<'_>, webhooks: &Webhooks) -> Result<HashMap<String, Arc<Door>>, Error> {
    let mut exits: HashMap<SourceId, Vec<Exit>> = HashMap::new();
    let destinations =
        tx.all(&format!("{DESTINATIONS} ORDER BY id LIMIT ?1"), [DESTINATIONS_MAX], |row| {
            Ok(rows::destination(row).map_err(|error| (row.get::<_, String>(4), error)))
        })?;
    for destination in destinations {
        match destination {
            Ok(found) => exits.entry(found.source).or_default().push(Exit {
                id: found.id,
                filter: found.definition.filter,
                in_order: found.definition.in_order,
            }),
            Err((key, error)) => tell_unreadable("destination", &key.unwrap_or_default(), &error),
        }
    }
    let sources = tx.all(
        &format!("{SOURCES} WHERE projects.archived_at IS NULL ORDER BY webhook_sources.id LIMIT ?1"),
        [SOURCES_MAX],
        |row| Ok(rows::source(row).map_err(|error| (row.get::<_, String>(4), error))),
    )?;
    let mut doors = HashMap::new();
    for source in sources {
        let source = match source {
            Ok(source) => source,
            Err((key, error)) => {
                tell_unreadable("source", &key.unwrap_or_default(), &error);
                continue;
            }
        };
        let provider = providers::find(&source.definition.provider);
        let (Some(provider), Some(scheme), Ok(rules)) =
            (provider, source.definition.scheme(), source.definition.rules())
        else {
            tell_unreadable("source", &source.key, &"its provider is not known");
            continue;
        };
        let secrets = match webhooks.open_source(&source) {
            Ok(secrets) => secrets.plain(),
            Err(error) => {
                tracing::error!(webhook.source = source.key, %error, "a source refuses every call");
                Vec::new()
            }
        };
        let door = Door {
            exits: exits.remove(&source.id).unwrap_or_default(),
            id: source.id,
            uid: source.uid,
            project: source.project,
            key: source.key.clone(),
            definition: source.definition,
            provider,
            scheme,
            rules,
            secrets,
        };
        doors.insert(source.key, Arc::new(door));
    }
    Ok(doors)
}

fn tell_unreadable(what: &'static str, key: &str, why: &dyn std::fmt::Display) {
    tracing::error!(webhook.key = key, %why, "a {what} of webhooks cannot be read by this version of tocsin: upgrade again");
}
