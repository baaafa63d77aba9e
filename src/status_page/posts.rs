//! What strangers read about an outage: a post with its updates, written by hand or drafted from an incident.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::{Error, STATUS_PAGE, TEXT_CHARS_MAX, TITLE_CHARS_MAX};
use crate::accounts::By;
use crate::accounts::audit::{self, Change as Audited};
use crate::base::text::line;
use crate::base::{Entropy, Timestamp, Uid};
use crate::store::columns::word;
use crate::store::{self, ReadTx, WriteTx, params};

/// How far the team has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Investigating,
    Identified,
    Monitoring,
    Resolved,
}

/// How much strangers notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    None,
    Minor,
    Major,
    Critical,
}

/// A post with its updates, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Post {
    pub id: Uid,
    #[serde(skip)]
    pub number: i64,
    /// The incident it tells of.
    pub incident: Option<Uid>,
    pub title: String,
    pub stage: Stage,
    pub impact: Impact,
    /// Keys of services.
    pub services: Vec<String>,
    pub began_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// Whether strangers see it.
    pub published: bool,
    pub updates: Vec<Update>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Update {
    pub at: Timestamp,
    pub stage: Stage,
    pub text: String,
    pub author: String,
}

/// A post as somebody begins it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPost {
    pub incident: Option<Uid>,
    pub title: String,
    pub impact: Impact,
    pub services: Vec<String>,
    pub began_at: Timestamp,
    pub published: bool,
    pub stage: Stage,
    /// Its first update.
    pub text: String,
}

/// What a post is about by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// All of them.
    pub(super) services: Vec<String>,
    pub(super) title: String,
    pub(super) impact: Impact,
}

/// What is changed of a post; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PostChange {
    pub title: Option<String>,
    pub impact: Option<Impact>,
    pub published: Option<bool>,
    /// Another update.
    pub update: Option<(Stage, String)>,
}

/// Posts of one answer: a year of one a day.
const POSTS_MAX: i64 = 400;
const UPDATES_MAX: i64 = 100;
const COLUMNS: &str =
    "SELECT id, uid, incident, title, state, impact, services, began_at, resolved_at, published
    FROM status_posts";

/// Begins a post.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::BadLine`], by the field.
pub fn create(tx: &WriteTx<'_>, by: &By, entropy: &Entropy, new: &NewPost) -> Result<Uid, Error> {
    let uid = insert(tx, by.now, entropy, new, &by.actor.to_string())?;
    note(tx, by, "status_post.create", &new.title)?;
    Ok(uid)
}

/// As [`create`], by the program itself, which the audit log leaves out.
pub(super) fn insert(
    tx: &WriteTx<'_>,
    now: Timestamp,
    entropy: &Entropy,
    new: &NewPost,
    author: &str,
) -> Result<Uid, Error> {
    let title = line("title", &new.title, TITLE_CHARS_MAX)?;
    check_text(&new.text)?;
    let uid = entropy.uid(now);
    let resolved_at = (new.stage == Stage::Resolved).then_some(now.as_micros());
    let id = tx.insert(
        "INSERT INTO status_posts
             (uid, incident, title, state, impact, services, began_at, resolved_at, published)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            uid.as_bytes(),
            new.incident.as_ref().map(Uid::as_bytes),
            title,
            new.stage.as_str(),
            new.impact.as_str(),
            serde_json::json!(new.services).to_string(),
            new.began_at.as_micros(),
            resolved_at,
            new.published,
        ],
    )?;
    add_update(tx, now, id, (new.stage, &new.text), author)?;
    Ok(uid)
}

/// Changes a post, or says more.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] and [`Error::BadLine`], by the field.
pub fn change(tx: &WriteTx<'_>, by: &By, uid: Uid, change: &PostChange) -> Result<(), Error> {
    let post = find(tx, uid)?.ok_or(Error::NotFound)?;
    let title = change.title.as_deref().unwrap_or(&post.title);
    tx.execute(
        "UPDATE status_posts SET title = ?2, impact = ?3, published = ?4 WHERE id = ?1",
        params![
            post.number,
            line("title", title, TITLE_CHARS_MAX)?,
            change.impact.unwrap_or(post.impact).as_str(),
            change.published.unwrap_or(post.published),
        ],
    )?;
    if let Some((stage, text)) = &change.update {
        check_text(text)?;
        say(tx, by.now, post.number, (*stage, text), &by.actor.to_string())?;
    }
    tx.touch(STATUS_PAGE);
    note(tx, by, "status_post.change", &post.title)
}

/// Takes a post away. Of one that tells of an incident an empty row stays, until retention takes it: without it the
/// incident would be told anew.
///
/// # Errors
/// [`Error::NotFound`].
pub fn remove(tx: &WriteTx<'_>, by: &By, uid: Uid) -> Result<(), Error> {
    let post = find(tx, uid)?.ok_or(Error::NotFound)?;
    if post.incident.is_some() {
        tx.execute("DELETE FROM status_updates WHERE post_id = ?1", [post.number])?;
        tx.execute(
            "UPDATE status_posts SET title = '', services = '[]', published = 0, removed_at = ?2 WHERE id = ?1",
            params![post.number, by.now.as_micros()],
        )?;
    } else {
        tx.execute("DELETE FROM status_posts WHERE id = ?1", [post.number])?;
    }
    tx.touch(STATUS_PAGE);
    note(tx, by, "status_post.remove", &post.title)
}

/// Changes what a post is about.
pub(super) fn turn(tx: &WriteTx<'_>, post: i64, scope: &Scope) -> Result<(), store::Error> {
    let services = serde_json::json!(scope.services).to_string();
    tx.execute(
        "UPDATE status_posts SET services = ?2, title = ?3, impact = ?4 WHERE id = ?1",
        params![post, services, scope.title, scope.impact.as_str()],
    )?;
    Ok(())
}

/// Takes a post out of strangers' sight.
pub(super) fn withdraw(tx: &WriteTx<'_>, post: i64) -> Result<(), store::Error> {
    tx.execute("UPDATE status_posts SET published = 0 WHERE id = ?1", [post])?;
    Ok(())
}

/// Adds an update, which says how far the team is now.
pub(super) fn say(
    tx: &WriteTx<'_>,
    now: Timestamp,
    post: i64,
    (stage, text): (Stage, &str),
    author: &str,
) -> Result<(), store::Error> {
    let resolved_at = (stage == Stage::Resolved).then_some(now.as_micros());
    tx.execute(
        "UPDATE status_posts SET state = ?2, resolved_at = ?3 WHERE id = ?1",
        params![post, stage.as_str(), resolved_at],
    )?;
    add_update(tx, now, post, (stage, text), author)
}

fn add_update(
    tx: &WriteTx<'_>,
    now: Timestamp,
    post: i64,
    (stage, text): (Stage, &str),
    author: &str,
) -> Result<(), store::Error> {
    tx.insert(
        "INSERT INTO status_updates (post_id, at, state, text, author) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![post, now.as_micros(), stage.as_str(), text, author],
    )?;
    tx.touch(STATUS_PAGE);
    Ok(())
}

/// Posts that began after `from` or are not over, the newest first; at most 400.
pub fn list(tx: &ReadTx<'_>, from: Timestamp) -> Result<Vec<Post>, store::Error> {
    let sql = format!(
        "{COLUMNS} WHERE (began_at >= ?1 OR resolved_at IS NULL) AND removed_at IS NULL
         ORDER BY began_at DESC, id DESC LIMIT {POSTS_MAX}"
    );
    let mut posts = tx.all(&sql, [from.as_micros()], post)?;
    for post in &mut posts {
        post.updates = updates(tx, post.number)?;
    }
    Ok(posts)
}

pub fn find(tx: &ReadTx<'_>, uid: Uid) -> Result<Option<Post>, store::Error> {
    let found =
        tx.first(&format!("{COLUMNS} WHERE uid = ?1 AND removed_at IS NULL"), [uid.as_bytes()], post)?;
    let Some(mut post) = found else { return Ok(None) };
    post.updates = updates(tx, post.number)?;
    Ok(Some(post))
}

/// Removes posts that were over before `before`, oldest first, at most `limit`.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, store::Error> {
    tx.execute(
        "DELETE FROM status_posts WHERE id IN (
             SELECT id FROM status_posts WHERE began_at < ?1 AND resolved_at < ?1 ORDER BY began_at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

fn updates(tx: &ReadTx<'_>, post: i64) -> Result<Vec<Update>, store::Error> {
    tx.all(
        "SELECT at, state, text, author FROM status_updates WHERE post_id = ?1 ORDER BY at DESC, id DESC LIMIT ?2",
        params![post, UPDATES_MAX],
        |row| {
            Ok(Update {
                at: Timestamp::from_micros(row.get(0)?),
                stage: word(row, 1, Stage::parse)?,
                text: row.get(2)?,
                author: row.get(3)?,
            })
        },
    )
}

fn post(row: &Row<'_>) -> rusqlite::Result<Post> {
    let services: String = row.get(6)?;
    Ok(Post {
        number: row.get(0)?,
        id: Uid::from_bytes(row.get(1)?),
        incident: row.get::<_, Option<[u8; 16]>>(2)?.map(Uid::from_bytes),
        title: row.get(3)?,
        stage: word(row, 4, Stage::parse)?,
        impact: word(row, 5, Impact::parse)?,
        services: serde_json::from_str(&services).unwrap_or_default(),
        began_at: Timestamp::from_micros(row.get(7)?),
        resolved_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_micros),
        published: row.get(9)?,
        updates: Vec::new(),
    })
}

fn check_text(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::Invalid(format!("text: say something, in at most {TEXT_CHARS_MAX} characters")));
    }
    Ok(())
}

fn note(tx: &WriteTx<'_>, by: &By, action: &'static str, title: &str) -> Result<(), Error> {
    let detail = serde_json::json!({});
    Ok(audit::append(tx, by, &Audited { action, subject: title, project: None, detail })?)
}

impl Stage {
    pub const ALL: [Self; 4] = [Self::Investigating, Self::Identified, Self::Monitoring, Self::Resolved];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

impl Impact {
    pub const ALL: [Self; 4] = [Self::None, Self::Minor, Self::Major, Self::Critical];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|impact| impact.as_str() == word)
    }
}
