//! Projects and who is a member of them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::json;

use super::audit::{self, Change};
use super::keys::{self, Key};
use super::users::{self, UserId};
use super::{By, Email, Error, Slug, Visible, columns};
use crate::base::text::line;
use crate::base::{Entropy, Owner, ProjectId, Timestamp};
use crate::store::{ReadTx, Row, WriteTx, params};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Project {
    pub id: ProjectId,
    pub slug: Slug,
    pub name: String,
    pub created_at: Timestamp,
    /// `None` until the first event came.
    pub first_event_at: Option<Timestamp>,
    /// An archived project takes no events and stands in no list.
    pub archived_at: Option<Timestamp>,
    /// Who names it and chooses its channels.
    pub owner: Owner,
}

/// A project as somebody names it: by number or by slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectRef {
    Id(ProjectId),
    Slug(Slug),
}

#[derive(Clone, Debug)]
pub struct NewProject {
    pub name: String,
    /// `None`: made of the name, with a number where it is taken.
    pub slug: Option<Slug>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    #[serde(skip)]
    pub user: UserId,
    #[serde(rename = "id")]
    pub uid: crate::base::Uid,
    pub email: Email,
    pub role: super::Role,
}

/// The project that the first start creates.
pub const DEFAULT_PROJECT: &str = "default";
/// Far more than a small team has; a list of projects is one page, a switcher one menu.
pub const PROJECTS_MAX: u32 = 1000;
const NAME_CHARS_MAX: usize = 100;
/// Equal names beyond this are no accident.
const SLUG_TRIES_MAX: u32 = 100;

/// Adds a project; every user becomes a member: a small team sees everything until somebody is taken out.
///
/// # Errors
/// [`Error::BadLine`], [`Error::SlugTaken`], [`Error::TooMany`].
pub fn create(tx: &WriteTx<'_>, by: &By, new: &NewProject) -> Result<Project, Error> {
    let name = check_name(&new.name)?;
    let count: i64 =
        tx.one("SELECT count(*) FROM projects WHERE archived_at IS NULL", [], |row| row.get(0))?;
    if count >= i64::from(PROJECTS_MAX) {
        return Err(Error::TooMany { what: "projects", limit: PROJECTS_MAX });
    }
    let slug = match &new.slug {
        Some(slug) if is_taken(tx, slug)? => return Err(Error::SlugTaken(slug.to_string())),
        Some(slug) => slug.clone(),
        None => free_slug(tx, name)?,
    };
    let id = tx.insert(
        "INSERT INTO projects (slug, name, created_at) VALUES (?1, ?2, ?3)",
        params![slug.as_str(), name, by.now.as_micros()],
    )?;
    tx.execute("INSERT INTO project_members (project_id, user_id) SELECT ?1, id FROM users", [id])?;
    note(tx, by, "project.create", ProjectId(id), &slug, json!({ "name": name }))?;
    find(tx, ProjectId(id))?.ok_or(Error::UnknownProject)
}

/// Adds a project that can take events at once: with a server key.
///
/// # Errors
/// As [`create`].
pub fn create_with_key(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    new: &NewProject,
) -> Result<(Project, Key), Error> {
    let project = create(tx, by, new)?;
    let key = keys::create_first(tx, by, entropy, project.id)?;
    Ok((project, key))
}

/// Creates the project `default` where there is no project at all.
pub fn ensure_default(tx: &WriteTx<'_>, by: &By) -> Result<Option<Project>, Error> {
    if tx.one("SELECT EXISTS (SELECT 1 FROM projects)", [], |row| row.get(0))? {
        return Ok(None);
    }
    create(tx, by, &NewProject { name: DEFAULT_PROJECT.to_owned(), slug: None }).map(Some)
}

pub fn find(tx: &ReadTx<'_>, id: ProjectId) -> Result<Option<Project>, Error> {
    Ok(tx.first(
        "SELECT id, slug, name, created_at, first_event_at, archived_at, owner FROM projects WHERE id = ?1",
        [id.0],
        project,
    )?)
}

/// The project of this number or slug, if `visible` includes it. Archived ones are found too.
pub fn find_visible(
    tx: &ReadTx<'_>,
    reference: &ProjectRef,
    visible: &Visible,
) -> Result<Option<Project>, Error> {
    let found = match reference {
        ProjectRef::Id(id) => find(tx, *id)?,
        ProjectRef::Slug(slug) => tx.first(
            "SELECT id, slug, name, created_at, first_event_at, archived_at, owner FROM projects WHERE slug = ?1",
            [slug.as_str()],
            project,
        )?,
    };
    Ok(found.filter(|project| visible.contains(project.id)))
}

/// The projects in `visible` that are not archived, by name.
pub fn list(tx: &ReadTx<'_>, visible: &Visible) -> Result<Vec<Project>, Error> {
    list_where(tx, visible, false)
}

/// The archived projects in `visible`, by name.
pub fn list_archived(tx: &ReadTx<'_>, visible: &Visible) -> Result<Vec<Project>, Error> {
    list_where(tx, visible, true)
}

fn list_where(tx: &ReadTx<'_>, visible: &Visible, is_archived: bool) -> Result<Vec<Project>, Error> {
    let mut projects = tx.all(
        "SELECT id, slug, name, created_at, first_event_at, archived_at, owner FROM projects
         WHERE (archived_at IS NOT NULL) = ?2 ORDER BY name COLLATE NOCASE, id LIMIT ?1",
        params![PROJECTS_MAX, is_archived],
        project,
    )?;
    projects.retain(|project| visible.contains(project.id));
    Ok(projects)
}

/// Changes the name that people read; the slug stays, because addresses live long.
///
/// # Errors
/// [`Error::BadLine`], [`Error::UnknownProject`], [`Error::OwnedByFile`].
pub fn rename(tx: &WriteTx<'_>, by: &By, id: ProjectId, name: &str) -> Result<(), Error> {
    let project = find_of_page(tx, id)?;
    let name = check_name(name)?;
    tx.execute("UPDATE projects SET name = ?2 WHERE id = ?1", params![id.0, name])?;
    note(tx, by, "project.rename", id, &project.slug, json!({ "from": project.name, "to": name }))
}

/// Puts a project away: its keys let nothing in any more. What it holds stays until retention takes it.
///
/// # Errors
/// [`Error::UnknownProject`], [`Error::OwnedByFile`].
pub fn archive(tx: &WriteTx<'_>, by: &By, id: ProjectId) -> Result<(), Error> {
    let project = find_of_page(tx, id)?;
    if project.archived_at.is_some() {
        return Ok(());
    }
    tx.execute("UPDATE projects SET archived_at = ?2 WHERE id = ?1", params![id.0, by.now.as_micros()])?;
    note(tx, by, "project.archive", id, &project.slug, json!(null))
}

/// Whether a project is put away: what belongs to it is not asked and rings nobody.
pub fn is_archived(tx: &ReadTx<'_>, id: ProjectId) -> Result<bool, crate::store::Error> {
    tx.one(
        "SELECT EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND archived_at IS NOT NULL)",
        [id.0],
        |row| row.get(0),
    )
}

/// Takes a project out of the archive.
pub fn restore(tx: &WriteTx<'_>, by: &By, id: ProjectId) -> Result<(), Error> {
    let project = find(tx, id)?.ok_or(Error::UnknownProject)?;
    if project.archived_at.is_none() {
        return Ok(());
    }
    tx.execute("UPDATE projects SET archived_at = NULL WHERE id = ?1", [id.0])?;
    note(tx, by, "project.restore", id, &project.slug, json!(null))
}

/// Notes when the first event came; later calls change nothing. Tells whether this was the first.
pub fn note_first_event(tx: &WriteTx<'_>, id: ProjectId, at: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE projects SET first_event_at = ?2 WHERE id = ?1 AND first_event_at IS NULL",
        params![id.0, at.as_micros()],
    )?;
    Ok(changed == 1)
}

/// The next number for an issue's short id: that of a removed issue never means another one.
pub fn next_issue_number(tx: &WriteTx<'_>, id: ProjectId) -> Result<i64, crate::store::Error> {
    let sql = "UPDATE projects SET issue_number = issue_number + 1 WHERE id = ?1 RETURNING issue_number";
    tx.one(sql, [id.0], |row| row.get(0))
}

/// Who is a member, by address. Owners see the project without being one.
pub fn members(tx: &ReadTx<'_>, id: ProjectId) -> Result<Vec<Member>, Error> {
    Ok(tx.all(
        "SELECT users.id, users.uid, users.email, users.role
         FROM project_members JOIN users ON users.id = project_members.user_id
         WHERE project_members.project_id = ?1 ORDER BY users.email LIMIT ?2",
        params![id.0, users::USERS_MAX],
        |row| {
            Ok(Member {
                user: UserId(row.get(0)?),
                uid: columns::uid(row, 1)?,
                email: columns::parsed(row, 2)?,
                role: columns::parsed(row, 3)?,
            })
        },
    )?)
}

/// The projects that a user is a member of, without archived ones, by name.
pub fn of_member(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<Project>, Error> {
    list(tx, &Visible::Only(memberships(tx, user)?))
}

/// As [`of_member`], the archived ones too.
pub(super) fn memberships(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ProjectId>, Error> {
    let sql = "SELECT project_id FROM project_members WHERE user_id = ?1";
    Ok(tx.all(sql, [user.0], |row| row.get(0).map(ProjectId))?)
}

/// # Errors
/// [`Error::UnknownProject`], [`Error::UnknownUser`].
pub fn add_member(tx: &WriteTx<'_>, by: &By, id: ProjectId, user: UserId) -> Result<(), Error> {
    let (project, user) = member_of(tx, id, user)?;
    let added = tx.execute(
        "INSERT INTO project_members (project_id, user_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [id.0, user.id.0],
    )?;
    if added == 0 {
        return Ok(());
    }
    note(tx, by, "project.add_member", id, &project.slug, json!({ "user": user.email }))
}

/// # Errors
/// [`Error::UnknownProject`], [`Error::UnknownUser`].
pub fn remove_member(tx: &WriteTx<'_>, by: &By, id: ProjectId, user: UserId) -> Result<(), Error> {
    let (project, user) = member_of(tx, id, user)?;
    let removed =
        tx.execute("DELETE FROM project_members WHERE project_id = ?1 AND user_id = ?2", [id.0, user.id.0])?;
    if removed == 0 {
        return Ok(());
    }
    note(tx, by, "project.remove_member", id, &project.slug, json!({ "user": user.email }))
}

fn member_of(tx: &ReadTx<'_>, id: ProjectId, user: UserId) -> Result<(Project, users::User), Error> {
    let project = find(tx, id)?.ok_or(Error::UnknownProject)?;
    Ok((project, users::find(tx, user)?.ok_or(Error::UnknownUser)?))
}

fn find_of_page(tx: &ReadTx<'_>, id: ProjectId) -> Result<Project, Error> {
    let project = find(tx, id)?.ok_or(Error::UnknownProject)?;
    match project.owner {
        Owner::Page => Ok(project),
        Owner::File => Err(Error::OwnedByFile),
    }
}

pub(super) fn check_name(name: &str) -> Result<&str, Error> {
    Ok(line("name", name, NAME_CHARS_MAX)?)
}

fn is_taken(tx: &ReadTx<'_>, slug: &Slug) -> Result<bool, Error> {
    Ok(tx.one("SELECT EXISTS (SELECT 1 FROM projects WHERE slug = ?1)", [slug.as_str()], |row| row.get(0))?)
}

fn free_slug(tx: &ReadTx<'_>, name: &str) -> Result<Slug, Error> {
    let stem = Slug::derive(name);
    if !is_taken(tx, &stem)? {
        return Ok(stem);
    }
    for number in 2..=SLUG_TRIES_MAX {
        let slug = stem.numbered(number);
        if !is_taken(tx, &slug)? {
            return Ok(slug);
        }
    }
    Err(Error::SlugTaken(stem.to_string()))
}

fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    id: ProjectId,
    slug: &Slug,
    detail: serde_json::Value,
) -> Result<(), Error> {
    audit::append(tx, by, &Change { action, subject: slug.as_str(), project: Some(id), detail })
}

fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        id: ProjectId(row.get(0)?),
        slug: columns::parsed(row, 1)?,
        name: row.get(2)?,
        created_at: columns::time(row, 3)?,
        first_event_at: columns::maybe_time(row, 4)?,
        archived_at: columns::maybe_time(row, 5)?,
        owner: columns::parsed(row, 6)?,
    })
}

impl FromStr for ProjectRef {
    type Err = Error;
    /// What names no project at all is an unknown project, as a wrong number is.
    fn from_str(text: &str) -> Result<Self, Error> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let id = text.parse().ok().filter(|id| *id > 0).ok_or(Error::UnknownProject)?;
            return Ok(Self::Id(ProjectId(id)));
        }
        text.parse().map(Self::Slug).map_err(|_: Error| Error::UnknownProject)
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Slug(slug) => slug.fmt(f),
        }
    }
}
