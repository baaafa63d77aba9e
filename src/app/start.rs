//! What somebody who starts tocsin on a terminal needs first: a way in, a DSN, and what is still missing.

use crate::accounts::keys;
use crate::accounts::projects::{self, DEFAULT_PROJECT, Project, ProjectRef};
use crate::accounts::{By, Error, KeyKind, PublicKey, Visible, links, users};
use crate::base::Secret;
use crate::http::AppState;
use crate::incidents::channels::{self, ChannelState};
use crate::store::WriteTx;

/// The first words on a terminal. Never for a log: the link lets its reader in.
#[derive(Debug)]
pub struct FirstWords {
    /// While there is no user: the path of the one-use link, good for an hour.
    pub link: Option<Secret>,
    pub project: String,
    pub dsn: String,
    pub public_key: String,
    pub channels_ready: usize,
}

/// Collects them; makes the link and, where the project has none, a key.
pub async fn first_words(state: &AppState) -> Result<FirstWords, Error> {
    let by = By::tocsin(state.clock.now());
    let (entropy, base_url) = (state.entropy.clone(), state.base_url.clone());
    state
        .store
        .write("start.first_words", move |tx| {
            let link = if users::exist(tx)? {
                None
            } else {
                Some(links::create_for_first_owner(tx, &by, &entropy)?)
            };
            let (project, key) = default_door(tx, &by, &entropy)?;
            let ready =
                channels::list(tx)?.iter().filter(|channel| channel.state == ChannelState::Ready).count();
            Ok(FirstWords {
                link,
                project: project.slug.to_string(),
                dsn: keys::dsn(base_url.as_str(), key, project.id),
                public_key: key.to_string(),
                channels_ready: ready,
            })
        })
        .await
}

/// The project `default` (or the first there is, where it was renamed) and a server key of it.
pub(super) fn default_door(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &crate::base::Entropy,
) -> Result<(Project, PublicKey), Error> {
    let named = projects::find_visible(tx, &DEFAULT_PROJECT.parse::<ProjectRef>()?, &Visible::All)?;
    let project = match named.filter(|project| project.archived_at.is_none()) {
        Some(project) => project,
        None => projects::list(tx, &Visible::All)?
            .into_iter()
            .find(|project| project.archived_at.is_none())
            .ok_or(Error::UnknownProject)?,
    };
    let known = keys::list(tx, project.id)?;
    let active = known.iter().find(|key| key.revoked_at.is_none() && key.settings.kind == KeyKind::Server);
    if let Some(key) = active {
        return Ok((project, key.public_key));
    }
    let key = keys::create_first(tx, by, entropy, project.id)?.public_key;
    Ok((project, key))
}
