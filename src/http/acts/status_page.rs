//! The status page and its posts: who knows what of them, and writing them.

use std::collections::BTreeSet;

use super::refused::{Refused, check_seen};
use super::rights::{Act, Thing, check};
use crate::accounts::Visible;
use crate::base::owned::Owner;
use crate::base::{Timestamp, Uid};
use crate::health::services::queries;
use crate::http::auth::Caller;
use crate::http::status::RENDER_TASK;
use crate::http::{AppState, Problem};
use crate::status_page::posts::{self, NewPost, Post, PostChange};
use crate::status_page::{self, Draft, Error, Page};
use crate::store::{self, ReadTx};

/// The page as somebody may know of it: services of projects that they may not know of do not stand in it.
pub fn find(tx: &ReadTx<'_>, visible: &Visible) -> Result<Option<Page>, store::Error> {
    let Some(mut page) = status_page::find(tx)? else { return Ok(None) };
    if *visible != Visible::All {
        let known = keys(tx, visible)?;
        for section in &mut page.sections {
            section.entries.retain(|entry| known.contains(&entry.service));
        }
        page.sections.retain(|section| !section.entries.is_empty());
    }
    Ok(Some(page))
}

/// The posts that began from `from` on, as somebody may know of them: of those that strangers do not see, only what is
/// all of services that they may know of.
pub fn posts(tx: &ReadTx<'_>, visible: &Visible, from: Timestamp) -> Result<Vec<Post>, store::Error> {
    let mut posts = posts::list(tx, from)?;
    if *visible != Visible::All {
        let known = keys(tx, visible)?;
        posts.retain_mut(|post| {
            let named = post.services.len();
            post.services.retain(|key| known.contains(key));
            let is_theirs = named > 0 && post.services.len() == named;
            post.incident = post.incident.filter(|_| is_theirs);
            post.published || is_theirs
        });
    }
    Ok(posts)
}

fn keys(tx: &ReadTx<'_>, visible: &Visible) -> Result<BTreeSet<String>, store::Error> {
    Ok(queries::list(tx, visible)?.into_iter().map(|service| service.key).collect())
}

/// Makes the page what the draft says. `seen`: the version that the change was made of, where it is known; 0 where there
/// was none.
///
/// # Errors
/// Where the caller may not manage the installation, something is wrong, a file owns the page, or somebody changed it
/// since.
pub async fn save(
    state: &AppState,
    caller: Caller,
    (draft, seen): (Draft, Option<i64>),
) -> Result<Page, Refused<Error>> {
    check(&caller, Act::Change, Thing::StatusPage, None)?;
    let (by, entropy) = (caller.by(state.clock.now()), state.entropy.clone());
    let saved = state
        .store
        .write("status_page.save", move |tx| {
            check_seen("page", seen, status_page::find(tx)?.map_or(0, |page| page.version))?;
            status_page::save(tx, &by, &entropy, &draft, Owner::Page)?;
            status_page::find(tx)?.ok_or_else(|| Problem::not_found("status page").into())
        })
        .await;
    state.engine.ask(RENDER_TASK);
    saved
}

/// Begins a post.
///
/// # Errors
/// Where the caller may not manage the installation, or something is wrong.
pub async fn create_post(state: &AppState, caller: Caller, new: NewPost) -> Result<Post, Problem> {
    check(&caller, Act::Change, Thing::StatusPage, None)?;
    let (by, entropy) = (caller.by(state.clock.now()), state.entropy.clone());
    let created = state
        .store
        .write("status_post.create", move |tx| {
            let id = posts::create(tx, &by, &entropy, &new)?;
            posts::find(tx, id)?.ok_or_else(|| Problem::not_found("post"))
        })
        .await;
    state.engine.ask(RENDER_TASK);
    created
}

/// Changes a post, or says more.
///
/// # Errors
/// As [`create_post`]; where there is no such post.
pub async fn change_post(
    state: &AppState,
    caller: Caller,
    id: Uid,
    change: PostChange,
) -> Result<Post, Problem> {
    check(&caller, Act::Change, Thing::StatusPage, None)?;
    let by = caller.by(state.clock.now());
    let changed = state
        .store
        .write("status_post.change", move |tx| {
            posts::change(tx, &by, id, &change)?;
            posts::find(tx, id)?.ok_or_else(|| Problem::not_found("post"))
        })
        .await;
    state.engine.ask(RENDER_TASK);
    changed
}

/// Takes a post away.
///
/// # Errors
/// As [`change_post`].
pub async fn remove_post(state: &AppState, caller: Caller, id: Uid) -> Result<(), Problem> {
    check(&caller, Act::Change, Thing::StatusPage, None)?;
    let by = caller.by(state.clock.now());
    let removed = state
        .store
        .write("status_post.remove", move |tx| Ok::<_, Problem>(posts::remove(tx, &by, id)?))
        .await;
    state.engine.ask(RENDER_TASK);
    removed
}
