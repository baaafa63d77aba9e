//! One-use sign-in links. A link shows a page; only the form on it uses the link up, because mail scanners
//! open what they find.

use std::time::Duration;

use serde_json::json;

use super::audit::{self, Change};
use super::users::{self, User, UserId};
use super::{By, Error, TokenHash, secrets};
use crate::base::{Entropy, Secret, Timestamp};
use crate::store::{ReadTx, WriteTx, params};

/// For whom a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFor {
    /// Whoever opens it becomes the first owner.
    FirstOwner,
    User(User),
}

/// How long a link can be used.
pub const LINK_LIFETIME: Duration = Duration::from_hours(1);
/// Characters of a link's token, as [`Entropy::token`] makes them.
pub const LINK_TOKEN_CHARS: usize = 43;

/// Where a link leads, below the base URL. Whoever reads it comes in: never for a log.
pub fn path(token: &Secret) -> String {
    format!("/sign-in/{}", token.expose())
}

/// Makes the link by which the first owner comes in, and voids earlier ones. Returns the token for the address.
///
/// # Errors
/// [`Error::NotFirst`] where there is a user already.
pub fn create_for_first_owner(tx: &WriteTx<'_>, by: &By, entropy: &Entropy) -> Result<Secret, Error> {
    if users::exist(tx)? {
        return Err(Error::NotFirst);
    }
    tx.execute("DELETE FROM sign_in_links WHERE user_id IS NULL", [])?;
    let token = insert(tx, by, entropy, None)?;
    audit::append(
        tx,
        by,
        &Change { action: "link.create", subject: "first owner", project: None, detail: json!(null) },
    )?;
    Ok(token)
}

/// Makes a link that signs `user` in, and voids earlier ones. Returns the token for the address.
///
/// # Errors
/// [`Error::UnknownUser`], [`Error::UserDisabled`].
pub fn create(tx: &WriteTx<'_>, by: &By, entropy: &Entropy, user: UserId) -> Result<Secret, Error> {
    let user = users::find(tx, user)?.ok_or(Error::UnknownUser)?;
    if user.disabled_at.is_some() {
        return Err(Error::UserDisabled);
    }
    void_of(tx, user.id)?;
    let token = insert(tx, by, entropy, Some(user.id))?;
    let subject = user.email.as_str();
    audit::append(tx, by, &Change { action: "link.create", subject, project: None, detail: json!(null) })?;
    Ok(token)
}

/// Voids the links of a user that are still good.
pub(super) fn void_of(tx: &WriteTx<'_>, user: UserId) -> Result<(), Error> {
    tx.execute("DELETE FROM sign_in_links WHERE user_id = ?1", [user.0])?;
    Ok(())
}

/// Looks at a link without using it up; `None` where it would not open anything.
pub fn find(tx: &ReadTx<'_>, token: &TokenHash, now: Timestamp) -> Result<Option<LinkFor>, Error> {
    let user = tx.first(
        "SELECT user_id FROM sign_in_links WHERE token_hash = ?1 AND used_at IS NULL AND expires_at > ?2",
        params![token.as_bytes(), now.as_micros()],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    Ok(match user {
        None => None,
        Some(None) => (!users::exist(tx)?).then_some(LinkFor::FirstOwner),
        Some(Some(id)) => {
            users::find(tx, UserId(id))?.filter(|user| user.disabled_at.is_none()).map(LinkFor::User)
        }
    })
}

/// Uses a link up. For the first owner, call [`users::create_first_owner`] in the same transaction: where that
/// fails the link stays good.
///
/// # Errors
/// [`Error::LinkSpent`].
pub fn consume(tx: &WriteTx<'_>, token: &TokenHash, now: Timestamp) -> Result<LinkFor, Error> {
    let found = find(tx, token, now)?.ok_or(Error::LinkSpent)?;
    let used = tx.execute(
        "UPDATE sign_in_links SET used_at = ?2 WHERE token_hash = ?1 AND used_at IS NULL",
        params![token.as_bytes(), now.as_micros()],
    )?;
    if used == 1 { Ok(found) } else { Err(Error::LinkSpent) }
}

/// Deletes at most `limit` links that cannot be used any more; returns how many went.
pub fn purge(tx: &WriteTx<'_>, now: Timestamp, limit: u32) -> Result<usize, Error> {
    Ok(tx.execute(
        "DELETE FROM sign_in_links WHERE token_hash IN
           (SELECT token_hash FROM sign_in_links WHERE expires_at <= ?1 LIMIT ?2)",
        params![now.as_micros(), limit],
    )?)
}

fn insert(tx: &WriteTx<'_>, by: &By, entropy: &Entropy, user: Option<UserId>) -> Result<Secret, Error> {
    let (token, hash) = secrets::generate(entropy, "");
    tx.execute(
        "INSERT INTO sign_in_links (token_hash, user_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            hash.as_bytes(),
            user.map(|user| user.0),
            by.now.as_micros(),
            (by.now + LINK_LIFETIME).as_micros(),
        ],
    )?;
    Ok(token)
}
