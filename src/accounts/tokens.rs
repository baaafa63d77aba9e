//! API tokens: for scripts and machines. Shown once, stored as a hash.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::access::{Decision, decide_to_give};
use super::audit::{self, Change};
use super::users::User;
use super::{Actor, By, Email, Error, Role, Scopes, TokenHash, columns, projects, secrets};
use crate::base::text::line;
use crate::base::{Entropy, ProjectId, Secret, Timestamp, Uid};
use crate::store::{ReadTx, Row, WriteTx, params};

/// A token's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(pub i64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    #[serde(skip)]
    pub id: TokenId,
    #[serde(rename = "id")]
    pub uid: Uid,
    pub name: String,
    /// The last four characters, to tell tokens apart.
    pub hint: String,
    pub scopes: Scopes,
    /// `None`: every project.
    #[serde(skip)]
    pub project: Option<ProjectId>,
    pub created_at: Timestamp,
    /// Who made it, as the audit log names them.
    pub created_by: String,
    /// Exact to [`USED_EVERY`].
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    pub scopes: Scopes,
    pub project: Option<ProjectId>,
}

/// What every token begins with, so that people and secret scanners recognise one.
pub const TOKEN_PREFIX: &str = "toc_";
/// A request does not write; "last used" is exact to this.
pub const USED_EVERY: Duration = Duration::from_mins(5);
/// Active ones; a list of tokens is one page.
pub const TOKENS_MAX: u32 = 1000;
const NAME_CHARS_MAX: usize = 100;
const HINT_CHARS: usize = 4;

/// Makes a token. The secret is returned here and never again.
///
/// # Errors
/// [`Error::BadLine`], [`Error::UnknownProject`], [`Error::TooMany`].
pub fn create(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    new: &NewToken,
) -> Result<(ApiToken, Secret), Error> {
    let name = line("name", &new.name, NAME_CHARS_MAX)?;
    if let Some(project) = new.project {
        projects::find(tx, project)?.ok_or(Error::UnknownProject)?;
    }
    let active: i64 =
        tx.one("SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL", [], |row| row.get(0))?;
    if active >= i64::from(TOKENS_MAX) {
        return Err(Error::TooMany { what: "tokens", limit: TOKENS_MAX });
    }
    let (secret, hash) = secrets::generate(entropy, TOKEN_PREFIX);
    tx.insert(
        "INSERT INTO api_tokens (uid, name, token_hash, hint, scopes, project_id, created_at, created_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            entropy.uid(by.now).as_bytes(),
            name,
            hash.as_bytes(),
            &secret.expose()[secret.expose().len() - HINT_CHARS..],
            new.scopes.to_string(),
            new.project.map(|project| project.0),
            by.now.as_micros(),
            by.actor.to_string(),
        ],
    )?;
    let token = find_active(tx, &hash)?.ok_or(Error::UnknownToken)?;
    note(tx, by, "token.create", &token)?;
    Ok((token, secret))
}

/// The token of this hash, if it may still be used.
pub fn find_active(tx: &ReadTx<'_>, hash: &TokenHash) -> Result<Option<ApiToken>, Error> {
    Ok(tx.first(
        "SELECT id, uid, name, hint, scopes, project_id, created_at, created_by, last_used_at, revoked_at
         FROM api_tokens WHERE token_hash = ?1 AND revoked_at IS NULL",
        [hash.as_bytes()],
        token,
    )?)
}

/// The active tokens, the newest first.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<ApiToken>, Error> {
    Ok(tx.all(
        "SELECT id, uid, name, hint, scopes, project_id, created_at, created_by, last_used_at, revoked_at
         FROM api_tokens WHERE revoked_at IS NULL ORDER BY id DESC LIMIT ?1",
        [TOKENS_MAX],
        token,
    )?)
}

/// The active token of this outside id.
pub fn find(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<ApiToken>, Error> {
    Ok(tx.first(
        "SELECT id, uid, name, hint, scopes, project_id, created_at, created_by, last_used_at, revoked_at
         FROM api_tokens WHERE uid = ?1 AND revoked_at IS NULL",
        [uid.as_bytes()],
        token,
    )?)
}

/// Ends a token for good; returns the hash that a cache may remember it by.
///
/// # Errors
/// [`Error::UnknownToken`].
pub fn revoke(tx: &WriteTx<'_>, by: &By, uid: Uid) -> Result<TokenHash, Error> {
    let token = find(tx, uid)?.ok_or(Error::UnknownToken)?;
    let hash = tx.one(
        "UPDATE api_tokens SET revoked_at = ?2 WHERE id = ?1 RETURNING token_hash",
        params![token.id.0, by.now.as_micros()],
        |row| row.get(0).map(TokenHash::from_bytes),
    )?;
    note(tx, by, "token.revoke", &token)?;
    Ok(hash)
}

/// Ends every active token that `maker` made, as [`revoke`] does.
pub fn revoke_all_of(tx: &WriteTx<'_>, by: &By, maker: &Email) -> Result<usize, Error> {
    let made: Vec<_> = list(tx)?.into_iter().filter(|token| token.is_made_by(maker)).collect();
    for token in &made {
        revoke(tx, by, token.uid)?;
    }
    Ok(made.len())
}

/// Ends those active tokens of `user` that they could not give with `role`: a token must not do what its maker no longer
/// may.
pub fn revoke_beyond(tx: &WriteTx<'_>, by: &By, user: &User, role: Role) -> Result<(), Error> {
    let projects = projects::memberships(tx, user.id)?;
    let maker = Actor::User { id: user.id, email: user.email.clone(), role, projects };
    let is_beyond = |token: &ApiToken| {
        token.is_made_by(&user.email)
            && decide_to_give(&maker, &token.scopes, token.project) != Decision::Allowed
    };
    for token in list(tx)?.into_iter().filter(is_beyond) {
        revoke(tx, by, token.uid)?;
    }
    Ok(())
}

/// How many active tokens `maker` made.
pub fn count_of(tx: &ReadTx<'_>, maker: &Email) -> Result<usize, Error> {
    Ok(list(tx)?.iter().filter(|token| token.is_made_by(maker)).count())
}

/// Ends every active token that `maker` made for `project`: who is no member of it must not come in by them.
pub fn revoke_made_for(tx: &WriteTx<'_>, by: &By, maker: &Email, project: ProjectId) -> Result<(), Error> {
    let made =
        list(tx)?.into_iter().filter(|token| token.is_made_by(maker) && token.project == Some(project));
    for token in made {
        revoke(tx, by, token.uid)?;
    }
    Ok(())
}

/// Notes that the token was used; call it when [`ApiToken::is_unseen`] says so.
pub fn touch(tx: &WriteTx<'_>, id: TokenId, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1", params![id.0, now.as_micros()])?;
    Ok(())
}

impl ApiToken {
    /// Whether [`touch`] is due.
    pub fn is_unseen(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|used| now.since(used) >= USED_EVERY)
    }

    pub fn is_made_by(&self, maker: &Email) -> bool {
        self.created_by.eq_ignore_ascii_case(maker.as_str())
    }

    pub fn actor(&self) -> Actor {
        let (name, scopes) = (self.name.clone(), self.scopes.clone());
        Actor::Token { id: self.id, name, scopes, project: self.project }
    }
}

fn note(tx: &WriteTx<'_>, by: &By, action: &'static str, token: &ApiToken) -> Result<(), Error> {
    let detail = json!({ "scopes": token.scopes, "hint": token.hint });
    audit::append(tx, by, &Change { action, subject: &token.name, project: token.project, detail })
}

fn token(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: TokenId(row.get(0)?),
        uid: columns::uid(row, 1)?,
        name: row.get(2)?,
        hint: row.get(3)?,
        scopes: columns::parsed(row, 4)?,
        project: row.get::<_, Option<i64>>(5)?.map(ProjectId),
        created_at: columns::time(row, 6)?,
        created_by: row.get(7)?,
        last_used_at: columns::maybe_time(row, 8)?,
        revoked_at: columns::maybe_time(row, 9)?,
    })
}
