//! DSN keys: what an app sends its events with. Not secret; they only let in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::audit::{self, Change};
use super::{By, Error, OriginDecision, Origins, Slug, columns, origins, projects};
use crate::base::text::line;
use crate::base::{Entropy, Owner, ProjectId, Severity, Timestamp};
use crate::resilience::Quota;
use crate::store::{ReadTx, Row, WriteTx, params};

/// A DSN's public key: 16 random bytes, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 16]);

/// Where a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Anybody can read it in the page's source: it has an origin list and cannot raise critical alarms unless
    /// allowed to.
    Browser,
    Server,
}

/// A key as its project's page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    pub public_key: PublicKey,
    #[serde(skip)]
    pub project: ProjectId,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub owner: Owner,
    #[serde(flatten)]
    pub settings: KeySettings,
}

/// What somebody may choose about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySettings {
    pub kind: KeyKind,
    /// Which app uses it, in the team's words.
    pub label: String,
    /// Counts for browser keys only.
    pub origins: Origins,
    /// `None`: the configured default.
    pub events_per_minute: Option<u32>,
    /// Whether a browser key may raise severity critical.
    pub allow_critical: bool,
}

/// What intake needs to know of an active key. Remembered by [`super::Cache`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub key: PublicKey,
    pub project: ProjectId,
    pub slug: Slug,
    pub kind: KeyKind,
    pub origins: Origins,
    pub events_per_minute: Option<u32>,
    pub allow_critical: bool,
}

/// The quota of a key that has none of its own, per minute. A minute's whole quota may come within one second:
/// the first second of a crash is the one that tells most.
pub const DEFAULT_EVENTS_PER_MINUTE: u32 = 600;
/// Enough for every app and environment of a project to have its own.
pub const KEYS_PER_PROJECT_MAX: u32 = 100;
/// Revoked keys stay in the list, the newest of them.
const KEYS_LISTED_MAX: u32 = 500;
const LABEL_CHARS_MAX: usize = 100;
/// The label of the key that a project is born with.
const FIRST_KEY_LABEL: &str = "first key";

/// The key with which a project can take events at once: one for servers.
///
/// # Errors
/// As [`create`].
pub fn create_first(tx: &WriteTx<'_>, by: &By, entropy: &Entropy, project: ProjectId) -> Result<Key, Error> {
    create(tx, by, entropy, project, &KeySettings::new(KeyKind::Server, FIRST_KEY_LABEL))
}

/// # Errors
/// [`Error::UnknownProject`], [`Error::TooManyKeys`], and what [`update`] refuses.
pub fn create(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    project: ProjectId,
    settings: &KeySettings,
) -> Result<Key, Error> {
    check(settings)?;
    let project = projects::find(tx, project)?.ok_or(Error::UnknownProject)?;
    let active: i64 = tx.one(
        "SELECT count(*) FROM dsn_keys WHERE project_id = ?1 AND revoked_at IS NULL",
        [project.id.0],
        |row| row.get(0),
    )?;
    if active >= i64::from(KEYS_PER_PROJECT_MAX) {
        return Err(Error::TooManyKeys);
    }
    let key = PublicKey(entropy.bytes());
    tx.insert(
        "INSERT INTO dsn_keys
           (project_id, public_key, kind, label, origins, events_per_minute, allow_critical, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            project.id.0,
            key.0,
            settings.kind.as_str(),
            settings.label.trim(),
            json!(settings.origins).to_string(),
            settings.events_per_minute,
            settings.allow_critical,
            by.now.as_micros(),
        ],
    )?;
    let detail = json!({ "key": key.hint(), "settings": settings });
    note(tx, by, "key.create", project.id, &settings.label, detail)?;
    find(tx, key)?.ok_or(Error::UnknownKey)
}

/// # Errors
/// [`Error::InvalidQuota`], [`Error::TooMany`] origins, [`Error::UnknownKey`], [`Error::OwnedByFile`].
pub fn update(tx: &WriteTx<'_>, by: &By, key: PublicKey, settings: &KeySettings) -> Result<(), Error> {
    check(settings)?;
    let before = find_of_page(tx, key)?;
    overwrite(tx, key, settings)?;
    let detail = json!({ "key": key.hint(), "from": before.settings, "to": settings });
    note(tx, by, "key.update", before.project, &settings.label, detail)
}

pub(super) fn overwrite(tx: &WriteTx<'_>, key: PublicKey, settings: &KeySettings) -> Result<(), Error> {
    tx.execute(
        "UPDATE dsn_keys
         SET kind = ?2, label = ?3, origins = ?4, events_per_minute = ?5, allow_critical = ?6
         WHERE public_key = ?1",
        params![
            key.0,
            settings.kind.as_str(),
            settings.label.trim(),
            json!(settings.origins).to_string(),
            settings.events_per_minute,
            settings.allow_critical,
        ],
    )?;
    Ok(())
}

fn find_of_page(tx: &ReadTx<'_>, key: PublicKey) -> Result<Key, Error> {
    let found = find(tx, key)?.filter(|key| key.revoked_at.is_none()).ok_or(Error::UnknownKey)?;
    match found.owner {
        Owner::Page => Ok(found),
        Owner::File => Err(Error::OwnedByFile),
    }
}

/// Ends a key for good: apps that use it are refused from the next request on.
///
/// # Errors
/// [`Error::UnknownKey`], [`Error::OwnedByFile`].
pub fn revoke(tx: &WriteTx<'_>, by: &By, key: PublicKey) -> Result<(), Error> {
    let found = find_of_page(tx, key)?;
    tx.execute(
        "UPDATE dsn_keys SET revoked_at = ?2 WHERE public_key = ?1",
        params![key.0, by.now.as_micros()],
    )?;
    note(tx, by, "key.revoke", found.project, &found.settings.label, json!({ "key": key.hint() }))
}

/// A project's keys, the active ones first, then the newest.
pub fn list(tx: &ReadTx<'_>, project: ProjectId) -> Result<Vec<Key>, Error> {
    Ok(tx.all(
        "SELECT public_key, project_id, created_at, revoked_at, kind, label, origins, events_per_minute,
                allow_critical, owner
         FROM dsn_keys WHERE project_id = ?1
         ORDER BY revoked_at IS NOT NULL, id DESC LIMIT ?2",
        params![project.0, KEYS_LISTED_MAX],
        key_row,
    )?)
}

/// A key, revoked or not.
pub fn find(tx: &ReadTx<'_>, key: PublicKey) -> Result<Option<Key>, Error> {
    Ok(tx.first(
        "SELECT public_key, project_id, created_at, revoked_at, kind, label, origins, events_per_minute,
                allow_critical, owner
         FROM dsn_keys WHERE public_key = ?1",
        [key.0],
        key_row,
    )?)
}

/// What `key` lets in: `None` where it is unknown or revoked, or its project archived.
pub fn find_grant(tx: &ReadTx<'_>, key: PublicKey) -> Result<Option<Grant>, Error> {
    Ok(tx.first(
        "SELECT dsn_keys.public_key, dsn_keys.project_id, projects.slug, dsn_keys.kind, dsn_keys.origins,
                dsn_keys.events_per_minute, dsn_keys.allow_critical
         FROM dsn_keys JOIN projects ON projects.id = dsn_keys.project_id
         WHERE dsn_keys.public_key = ?1 AND dsn_keys.revoked_at IS NULL AND projects.archived_at IS NULL",
        [key.0],
        |row| {
            Ok(Grant {
                key: PublicKey(row.get(0)?),
                project: ProjectId(row.get(1)?),
                slug: columns::parsed(row, 2)?,
                kind: columns::parsed(row, 3)?,
                origins: stored_origins(row, 4)?,
                events_per_minute: row.get(5)?,
                allow_critical: row.get(6)?,
            })
        },
    )?)
}

impl Grant {
    /// Decides about the `Origin` header. A server key asks for none.
    pub fn origin(&self, origin: Option<&str>) -> OriginDecision {
        match self.kind {
            KeyKind::Browser => self.origins.decide(origin),
            KeyKind::Server => OriginDecision::AllowedEverywhere,
        }
    }

    /// What the key admits; `default_per_minute` is the configured [`DEFAULT_EVENTS_PER_MINUTE`].
    pub fn quota(&self, default_per_minute: u32) -> Quota {
        Quota::new(self.events_per_minute.unwrap_or(default_per_minute), Duration::from_mins(1))
    }

    /// The severity that an event of this key may have at most: anybody can write `fatal` with a browser key.
    pub fn cap(&self, severity: Severity) -> Severity {
        match self.kind {
            KeyKind::Browser if !self.allow_critical => severity.min(Severity::High),
            KeyKind::Browser | KeyKind::Server => severity,
        }
    }
}

impl KeySettings {
    /// A key that accepts every origin and the default quota.
    pub fn new(kind: KeyKind, label: &str) -> Self {
        let origins = Origins::default();
        Self { kind, label: label.to_owned(), origins, events_per_minute: None, allow_critical: false }
    }
}

/// The address that an SDK is given: `{scheme}://{public key}@{host}{path}/{project}`. `base_url` is where
/// tocsin is reached from outside, with or without a path.
pub fn dsn(base_url: &str, key: PublicKey, project: ProjectId) -> String {
    let (scheme, rest) = base_url.split_once("://").unwrap_or(("http", base_url));
    format!("{scheme}://{key}@{}/{project}", rest.trim_end_matches('/'))
}

pub(super) fn check(settings: &KeySettings) -> Result<(), Error> {
    if settings.events_per_minute == Some(0) {
        return Err(Error::InvalidQuota);
    }
    line("label", &settings.label, LABEL_CHARS_MAX)?;
    if settings.origins.0.len() > origins::ORIGINS_MAX {
        let limit = u32::try_from(origins::ORIGINS_MAX).unwrap_or(u32::MAX);
        return Err(Error::TooMany { what: "origins", limit });
    }
    Ok(())
}

fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    project: ProjectId,
    label: &str,
    detail: serde_json::Value,
) -> Result<(), Error> {
    audit::append(tx, by, &Change { action, subject: label, project: Some(project), detail })
}

fn key_row(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        public_key: PublicKey(row.get(0)?),
        project: ProjectId(row.get(1)?),
        created_at: columns::time(row, 2)?,
        revoked_at: columns::maybe_time(row, 3)?,
        owner: columns::parsed(row, 9)?,
        settings: KeySettings {
            kind: columns::parsed(row, 4)?,
            label: row.get(5)?,
            origins: stored_origins(row, 6)?,
            events_per_minute: row.get(7)?,
            allow_critical: row.get(8)?,
        },
    })
}

/// A list that cannot be read must not become "every origin": the error refuses the key.
fn stored_origins(row: &Row<'_>, column: usize) -> rusqlite::Result<Origins> {
    columns::json(row, column)
}

impl PublicKey {
    /// The first digits, to tell keys apart in the audit log.
    fn hint(self) -> String {
        format!("{self}").chars().take(8).collect()
    }
}

impl FromStr for PublicKey {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::InvalidPublicKey);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| Error::InvalidPublicKey)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl KeyKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Server => "server",
        }
    }
}

impl FromStr for KeyKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Browser, Self::Server]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(Error::InvalidKeyKind)
    }
}
