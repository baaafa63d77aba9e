//! The people. At least one active owner always remains.

use serde::Serialize;
use serde_json::json;

use super::audit::{self, Change};
use super::passwords::PasswordHash;
use super::{By, Email, Error, Role, columns, links, sessions, tokens};
use crate::base::{Entropy, Timestamp, Uid};
use crate::store::{ReadTx, Row, WriteTx, params};

/// A user's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    #[serde(skip)]
    pub id: UserId,
    #[serde(rename = "id")]
    pub uid: Uid,
    pub email: Email,
    pub role: Role,
    /// Without one a person comes in by a link.
    pub has_password: bool,
    pub created_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
}

/// What a sign-in is checked against.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: User,
    pub password: Option<PasswordHash>,
}

#[derive(Clone, Debug)]
pub struct NewUser {
    pub email: Email,
    pub role: Role,
    pub password: Option<PasswordHash>,
}

/// A hundred times the team this is made for; a list of users is one page.
pub const USERS_MAX: u32 = 1000;

/// Adds a user, who becomes a member of every project: a small team sees everything until somebody is taken out.
///
/// # Errors
/// [`Error::EmailTaken`], [`Error::TooMany`].
pub fn create(tx: &WriteTx<'_>, by: &By, entropy: &Entropy, new: &NewUser) -> Result<User, Error> {
    if find_by_email(tx, &new.email)?.is_some() {
        return Err(Error::EmailTaken(new.email.to_string()));
    }
    if count(tx)? >= i64::from(USERS_MAX) {
        return Err(Error::TooMany { what: "users", limit: USERS_MAX });
    }
    let id = tx.insert(
        "INSERT INTO users (uid, email, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            entropy.uid(by.now).as_bytes(),
            new.email.as_str(),
            new.role.as_str(),
            new.password.as_ref().map(PasswordHash::as_str),
            by.now.as_micros(),
        ],
    )?;
    tx.execute(
        "INSERT INTO project_members (project_id, user_id) SELECT id, ?1 FROM projects WHERE archived_at IS NULL",
        [id],
    )?;
    note(tx, by, "user.create", &new.email, json!({ "role": new.role }))?;
    find(tx, UserId(id))?.ok_or(Error::UnknownUser)
}

/// Adds the first owner.
///
/// # Errors
/// [`Error::NotFirst`] where there is a user already.
pub fn create_first_owner(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    email: Email,
    password: PasswordHash,
) -> Result<User, Error> {
    if exist(tx)? {
        return Err(Error::NotFirst);
    }
    create(tx, by, entropy, &NewUser { email, role: Role::Owner, password: Some(password) })
}

/// Whether there is any user yet.
pub fn exist(tx: &ReadTx<'_>) -> Result<bool, Error> {
    Ok(tx.one("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0))?)
}

/// Everybody, by address.
pub fn list(tx: &ReadTx<'_>) -> Result<Vec<User>, Error> {
    Ok(tx.all(
        "SELECT id, uid, email, role, password_hash IS NOT NULL, created_at, last_seen_at, disabled_at
         FROM users ORDER BY email LIMIT ?1",
        [USERS_MAX],
        user,
    )?)
}

pub fn find(tx: &ReadTx<'_>, id: UserId) -> Result<Option<User>, Error> {
    Ok(tx.first(
        "SELECT id, uid, email, role, password_hash IS NOT NULL, created_at, last_seen_at, disabled_at
         FROM users WHERE id = ?1",
        [id.0],
        user,
    )?)
}

pub fn find_by_uid(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<User>, Error> {
    Ok(tx.first(
        "SELECT id, uid, email, role, password_hash IS NOT NULL, created_at, last_seen_at, disabled_at
         FROM users WHERE uid = ?1",
        [uid.as_bytes()],
        user,
    )?)
}

pub fn find_by_email(tx: &ReadTx<'_>, email: &Email) -> Result<Option<User>, Error> {
    Ok(find_credentials(tx, email)?.map(|credentials| credentials.user))
}

/// What [`super::passwords::verify`] needs, disabled users included.
pub fn find_credentials(tx: &ReadTx<'_>, email: &Email) -> Result<Option<Credentials>, Error> {
    Ok(tx.first(
        "SELECT id, uid, email, role, password_hash IS NOT NULL, created_at, last_seen_at, disabled_at,
                password_hash
         FROM users WHERE email = ?1",
        [email.as_str()],
        |row| {
            let password = row.get::<_, Option<String>>(8)?.map(PasswordHash::from_stored);
            Ok(Credentials { user: user(row)?, password })
        },
    )?)
}

/// # Errors
/// [`Error::LastOwner`], [`Error::UnknownUser`].
pub fn set_role(tx: &WriteTx<'_>, by: &By, id: UserId, role: Role) -> Result<(), Error> {
    let user = find(tx, id)?.ok_or(Error::UnknownUser)?;
    if user.role == role {
        return Ok(());
    }
    ensure_another_owner(tx, &user)?;
    tx.execute("UPDATE users SET role = ?2 WHERE id = ?1", params![id.0, role.as_str()])?;
    note(tx, by, "user.set_role", &user.email, json!({ "from": user.role, "to": role }))?;
    if role < user.role { tokens::revoke_beyond(tx, by, &user, role) } else { Ok(()) }
}

/// Sets a password, signs the user out everywhere except in the session `keep`, and voids their links.
pub fn set_password(
    tx: &WriteTx<'_>,
    by: &By,
    id: UserId,
    password: &PasswordHash,
    keep: Option<sessions::SessionId>,
) -> Result<(), Error> {
    let user = find(tx, id)?.ok_or(Error::UnknownUser)?;
    tx.execute("UPDATE users SET password_hash = ?2 WHERE id = ?1", params![id.0, password.as_str()])?;
    sessions::delete_all(tx, id, keep)?;
    sessions::close_door(tx, id)?;
    links::void_of(tx, id)?;
    note(tx, by, "user.set_password", &user.email, json!(null))
}

/// Keeps a user from signing in, signs them out everywhere and voids their links.
///
/// # Errors
/// [`Error::LastOwner`], [`Error::UnknownUser`].
pub fn disable(tx: &WriteTx<'_>, by: &By, id: UserId) -> Result<(), Error> {
    let user = find(tx, id)?.ok_or(Error::UnknownUser)?;
    if user.disabled_at.is_some() {
        return Ok(());
    }
    ensure_another_owner(tx, &user)?;
    tx.execute("UPDATE users SET disabled_at = ?2 WHERE id = ?1", params![id.0, by.now.as_micros()])?;
    sessions::delete_all(tx, id, None)?;
    links::void_of(tx, id)?;
    note(tx, by, "user.disable", &user.email, json!(null))
}

pub fn enable(tx: &WriteTx<'_>, by: &By, id: UserId) -> Result<(), Error> {
    let user = find(tx, id)?.ok_or(Error::UnknownUser)?;
    if user.disabled_at.is_none() {
        return Ok(());
    }
    tx.execute("UPDATE users SET disabled_at = NULL WHERE id = ?1", [id.0])?;
    note(tx, by, "user.enable", &user.email, json!(null))
}

/// Deletes a user with sessions, links and memberships. What they did keeps their address as its author.
///
/// # Errors
/// [`Error::LastOwner`], [`Error::UnknownUser`].
pub fn remove(tx: &WriteTx<'_>, by: &By, id: UserId) -> Result<(), Error> {
    let user = find(tx, id)?.ok_or(Error::UnknownUser)?;
    ensure_another_owner(tx, &user)?;
    tx.execute("DELETE FROM users WHERE id = ?1", [id.0])?;
    note(tx, by, "user.remove", &user.email, json!({ "role": user.role }))
}

/// Nothing may take the last active owner away, or nobody could invite anybody any more.
fn ensure_another_owner(tx: &ReadTx<'_>, user: &User) -> Result<(), Error> {
    if user.role != Role::Owner || user.disabled_at.is_some() {
        return Ok(());
    }
    let another: bool = tx.one(
        "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'owner' AND disabled_at IS NULL AND id <> ?1)",
        [user.id.0],
        |row| row.get(0),
    )?;
    if another { Ok(()) } else { Err(Error::LastOwner) }
}

fn count(tx: &ReadTx<'_>) -> Result<i64, Error> {
    Ok(tx.one("SELECT count(*) FROM users", [], |row| row.get(0))?)
}

fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    email: &Email,
    detail: serde_json::Value,
) -> Result<(), Error> {
    audit::append(tx, by, &Change { action, subject: email.as_str(), project: None, detail })
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId(row.get(0)?),
        uid: columns::uid(row, 1)?,
        email: columns::parsed(row, 2)?,
        role: columns::parsed(row, 3)?,
        has_password: row.get(4)?,
        created_at: columns::time(row, 5)?,
        last_seen_at: columns::maybe_time(row, 6)?,
        disabled_at: columns::maybe_time(row, 7)?,
    })
}
