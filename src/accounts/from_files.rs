//! What files of the configuration say of projects and keys. Nobody but `manifest` writes here; it appends the lines of
//! the audit log, which say what changed and where it stands.

use super::keys::{self, Key, KeySettings};
use super::projects::{self, NewProject, Project};
use super::{By, Error, Slug};
use crate::base::{Entropy, Owner, ProjectId};
use crate::store::{WriteTx, params};

/// Makes the project of this slug the files', under this name; a new one where there is none.
///
/// # Errors
/// As [`projects::create`].
pub fn save_project(tx: &WriteTx<'_>, by: &By, slug: &Slug, name: &str) -> Result<Project, Error> {
    let name = projects::check_name(name)?;
    let reference = projects::ProjectRef::Slug(slug.clone());
    let id = match projects::find_visible(tx, &reference, &super::Visible::All)? {
        Some(known) => known.id,
        None => projects::create(tx, by, &NewProject { name: name.to_owned(), slug: Some(slug.clone()) })?.id,
    };
    tx.execute(
        "UPDATE projects SET name = ?2, owner = ?3 WHERE id = ?1",
        params![id.0, name, Owner::File.as_str()],
    )?;
    projects::find(tx, id)?.ok_or(Error::UnknownProject)
}

/// Hands a project back to the pages.
pub fn release_project(tx: &WriteTx<'_>, id: ProjectId) -> Result<(), Error> {
    tx.execute("UPDATE projects SET owner = ?2 WHERE id = ?1", params![id.0, Owner::Page.as_str()])?;
    Ok(())
}

/// Makes the active key of this label the files', with these settings; a new one where there is none.
///
/// # Errors
/// [`Error::LabelTwice`] where several active keys have the label; as [`keys::create`].
pub fn save_key(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    project: ProjectId,
    settings: &KeySettings,
) -> Result<Key, Error> {
    let known = find_labelled(tx, project, &settings.label)?;
    let key = match known {
        Some(known) => {
            keys::check(settings)?;
            keys::overwrite(tx, known.public_key, settings)?;
            known.public_key
        }
        None => keys::create(tx, by, entropy, project, settings)?.public_key,
    };
    tx.execute("UPDATE dsn_keys SET owner = ?2 WHERE public_key = ?1", params![key.0, Owner::File.as_str()])?;
    keys::find(tx, key)?.ok_or(Error::UnknownKey)
}

/// The active key of a project that has this label.
///
/// # Errors
/// [`Error::LabelTwice`].
pub fn find_labelled(tx: &WriteTx<'_>, project: ProjectId, label: &str) -> Result<Option<Key>, Error> {
    let mut found: Vec<Key> = keys::list(tx, project)?
        .into_iter()
        .filter(|key| key.revoked_at.is_none() && key.settings.label == label)
        .collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Error::LabelTwice(label.to_owned())),
    }
}

/// Ends a key that no file names any more.
///
/// # Errors
/// [`Error::UnknownKey`].
pub fn revoke_key(tx: &WriteTx<'_>, by: &By, key: &Key) -> Result<(), Error> {
    tx.execute(
        "UPDATE dsn_keys SET owner = ?2 WHERE public_key = ?1",
        params![key.public_key.0, Owner::Page.as_str()],
    )?;
    keys::revoke(tx, by, key.public_key)
}
