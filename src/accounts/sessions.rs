//! Who is signed in, from which browser. A session ends 14 days after its sign-in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::audit::{self, Change};
use super::users::{self, UserId};
use super::{Actor, By, Email, Error, Role, TokenHash, columns, links, secrets};
use crate::base::text::clip;
use crate::base::{Entropy, ProjectId, Secret, Timestamp, Uid};
use crate::store::{ReadTx, Row, WriteTx, params};

/// A session's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub i64);

/// What a request with a session cookie may do, and as whom.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub uid: Uid,
    pub user: UserId,
    pub email: Email,
    pub role: Role,
    pub projects: Vec<ProjectId>,
    /// Opened by a sign-in link, and no password was set since: it may set one without the old one.
    pub by_link: bool,
    csrf: Secret,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A session as its owner sees it in the list of browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedSession {
    #[serde(rename = "id")]
    pub uid: Uid,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

/// From which browser somebody signs in.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    pub user_agent: Option<String>,
    pub address: Option<IpAddr>,
}

pub const SESSION_LIFETIME: Duration = Duration::from_hours(14 * 24);
/// A click does not write; "last seen" is exact to this.
pub const SEEN_EVERY: Duration = Duration::from_mins(5);
/// More browsers than anybody has; the next sign-in ends the one longest unseen.
pub const SESSIONS_PER_USER_MAX: u32 = 50;
const USER_AGENT_CHARS_MAX: usize = 300;

/// Signs `user` in and returns the token for the cookie.
///
/// # Errors
/// [`Error::UnknownUser`], [`Error::UserDisabled`].
pub fn open(
    tx: &WriteTx<'_>,
    now: Timestamp,
    entropy: &Entropy,
    user: UserId,
    browser: &Browser,
) -> Result<Secret, Error> {
    let user = users::find(tx, user)?.ok_or(Error::UnknownUser)?;
    if user.disabled_at.is_some() {
        return Err(Error::UserDisabled);
    }
    make_room(tx, user.id)?;
    let (token, hash) = secrets::generate(entropy, "");
    tx.insert(
        "INSERT INTO sessions
           (uid, token_hash, user_id, csrf, created_at, last_seen_at, expires_at, user_agent, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)",
        params![
            entropy.uid(now).as_bytes(),
            hash.as_bytes(),
            user.id.0,
            entropy.token(),
            now.as_micros(),
            (now + SESSION_LIFETIME).as_micros(),
            browser.user_agent.as_deref().map(|agent| clip(agent, USER_AGENT_CHARS_MAX)),
            browser.address.map(|address| address.to_string()),
        ],
    )?;
    tx.execute("UPDATE users SET last_seen_at = ?2 WHERE id = ?1", params![user.id.0, now.as_micros()])?;
    let subject = user.email.as_str();
    let actor = Actor::User { id: user.id, email: user.email.clone(), role: user.role, projects: Vec::new() };
    let by = By { actor, now, address: browser.address };
    audit::append(tx, &by, &Change { action: "session.open", subject, project: None, detail: json!(null) })?;
    Ok(token)
}

/// As [`open`], for whoever came by a sign-in link: a forgotten password can be replaced.
///
/// # Errors
/// As [`open`].
pub fn open_by_link(
    tx: &WriteTx<'_>,
    now: Timestamp,
    entropy: &Entropy,
    user: UserId,
    browser: &Browser,
) -> Result<Secret, Error> {
    let token = open(tx, now, entropy, user, browser)?;
    let hash = TokenHash::of(token.expose());
    tx.execute("UPDATE sessions SET by_link = 1 WHERE token_hash = ?1", [hash.as_bytes()])?;
    Ok(token)
}

/// From now on every session of `user` must show the current password to set another.
pub(super) fn close_door(tx: &WriteTx<'_>, user: UserId) -> Result<(), Error> {
    tx.execute("UPDATE sessions SET by_link = 0 WHERE user_id = ?1", [user.0])?;
    Ok(())
}

/// The session of a cookie, if it is still good and its user may come in.
pub fn find(tx: &ReadTx<'_>, token: &TokenHash, now: Timestamp) -> Result<Option<Session>, Error> {
    Ok(tx.first(
        "SELECT sessions.id, sessions.uid, sessions.user_id, users.email, users.role, sessions.csrf,
                sessions.last_seen_at, sessions.expires_at,
                (SELECT json_group_array(project_id) FROM project_members
                 WHERE project_members.user_id = sessions.user_id),
                sessions.by_link
         FROM sessions JOIN users ON users.id = sessions.user_id
         WHERE sessions.token_hash = ?1 AND sessions.expires_at > ?2 AND users.disabled_at IS NULL",
        params![token.as_bytes(), now.as_micros()],
        session,
    )?)
}

impl Session {
    /// Whether it still counts at `now`: a session may be remembered longer than it lives.
    pub fn is_good(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Whether [`touch`] is due.
    pub fn is_unseen(&self, now: Timestamp) -> bool {
        now.since(self.last_seen_at) >= SEEN_EVERY
    }

    /// The token that every form of this session carries.
    pub fn csrf(&self) -> &Secret {
        &self.csrf
    }

    pub fn actor(&self) -> Actor {
        let (email, projects) = (self.email.clone(), self.projects.clone());
        Actor::User { id: self.user, email, role: self.role, projects }
    }
}

/// Notes that the session was used; call it when [`Session::is_unseen`] says so.
pub fn touch(tx: &WriteTx<'_>, id: SessionId, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE sessions SET last_seen_at = ?2 WHERE id = ?1", params![id.0, now.as_micros()])?;
    tx.execute(
        "UPDATE users SET last_seen_at = ?2 WHERE id = (SELECT user_id FROM sessions WHERE id = ?1)",
        params![id.0, now.as_micros()],
    )?;
    Ok(())
}

/// A user's living sessions, the last used first.
pub fn list(tx: &ReadTx<'_>, user: UserId, now: Timestamp) -> Result<Vec<ListedSession>, Error> {
    Ok(tx.all(
        "SELECT uid, created_at, last_seen_at, expires_at, user_agent, address FROM sessions
         WHERE user_id = ?1 AND expires_at > ?2 ORDER BY last_seen_at DESC, id DESC LIMIT ?3",
        params![user.0, now.as_micros(), SESSIONS_PER_USER_MAX],
        |row| {
            Ok(ListedSession {
                uid: columns::uid(row, 0)?,
                created_at: columns::time(row, 1)?,
                last_seen_at: columns::time(row, 2)?,
                expires_at: columns::time(row, 3)?,
                user_agent: row.get(4)?,
                address: row.get(5)?,
            })
        },
    )?)
}

/// How many living sessions each user has who has any.
pub fn count_by_user(tx: &ReadTx<'_>, now: Timestamp) -> Result<HashMap<UserId, i64>, Error> {
    let counted = tx.all(
        "SELECT user_id, count(*) FROM sessions WHERE expires_at > ?1 GROUP BY user_id",
        [now.as_micros()],
        |row| Ok((UserId(row.get(0)?), row.get(1)?)),
    )?;
    Ok(counted.into_iter().collect())
}

/// Ends one session of `user`: signing out, or another browser from the list.
///
/// # Errors
/// [`Error::UnknownSession`] where it is over or somebody else's.
pub fn revoke(tx: &WriteTx<'_>, by: &By, user: UserId, session: Uid) -> Result<(), Error> {
    let user = users::find(tx, user)?.ok_or(Error::UnknownUser)?;
    let gone = tx.execute(
        "DELETE FROM sessions WHERE uid = ?1 AND user_id = ?2",
        params![session.as_bytes(), user.id.0],
    )?;
    if gone == 0 {
        return Err(Error::UnknownSession);
    }
    let subject = user.email.as_str();
    audit::append(tx, by, &Change { action: "session.close", subject, project: None, detail: json!(null) })
}

/// Signs `user` out everywhere, except in the session `keep`, and voids their links: one of them would let in again
/// whoever was signed out. Returns how many sessions ended.
pub fn revoke_all(tx: &WriteTx<'_>, by: &By, user: UserId, keep: Option<SessionId>) -> Result<usize, Error> {
    let user = users::find(tx, user)?.ok_or(Error::UnknownUser)?;
    let ended = delete_all(tx, user.id, keep)?;
    links::void_of(tx, user.id)?;
    let detail = json!({ "sessions": ended });
    let subject = user.email.as_str();
    audit::append(tx, by, &Change { action: "session.close_all", subject, project: None, detail })?;
    Ok(ended)
}

/// Deletes at most `limit` sessions that are over; returns how many went.
pub fn purge(tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<usize, Error> {
    Ok(tx.execute(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ?1 LIMIT ?2)",
        params![now.as_micros(), limit],
    )?)
}

pub(super) fn delete_all(tx: &WriteTx<'_>, user: UserId, keep: Option<SessionId>) -> Result<usize, Error> {
    let keep = keep.map(|session| session.0);
    Ok(tx.execute("DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2", params![user.0, keep])?)
}

fn make_room(tx: &WriteTx<'_>, user: UserId) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM sessions WHERE id IN
           (SELECT id FROM sessions WHERE user_id = ?1 ORDER BY last_seen_at DESC, id DESC LIMIT -1 OFFSET ?2)",
        params![user.0, SESSIONS_PER_USER_MAX - 1],
    )?;
    Ok(())
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let projects: Vec<i64> = serde_json::from_str(row.get_ref(8)?.as_str()?).unwrap_or_default();
    Ok(Session {
        id: SessionId(row.get(0)?),
        uid: columns::uid(row, 1)?,
        user: UserId(row.get(2)?),
        email: columns::parsed(row, 3)?,
        role: columns::parsed(row, 4)?,
        csrf: Secret::new(row.get::<_, String>(5)?),
        last_seen_at: columns::time(row, 6)?,
        expires_at: columns::time(row, 7)?,
        projects: projects.into_iter().map(ProjectId).collect(),
        by_link: row.get(9)?,
    })
}
