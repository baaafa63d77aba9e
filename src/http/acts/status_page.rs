//! Writing the status page and its posts.

use crate::accounts::access::{Permission, Subject};
use crate::base::Uid;
use crate::base::owned::Owner;
use crate::http::auth::Caller;
use crate::http::status::RENDER_TASK;
use crate::http::{AppState, Problem};
use crate::status_page::posts::{self, NewPost, Post, PostChange};
use crate::status_page::{self, Draft, Page};

/// Makes the page what the draft says.
///
/// # Errors
/// Where the caller may not manage the installation, something is wrong, or a file owns the page.
pub async fn save(state: &AppState, caller: Caller, draft: Draft) -> Result<Page, Problem> {
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let (by, entropy) = (caller.by(state.clock.now()), state.entropy.clone());
    let saved = state
        .store
        .write("status_page.save", move |tx| {
            status_page::save(tx, &by, &entropy, &draft, Owner::Page)?;
            status_page::find(tx)?.ok_or_else(|| Problem::not_found("status page"))
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
    caller.may(Permission::ManageInstance, Subject::Instance)?;
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
    caller.may(Permission::ManageInstance, Subject::Instance)?;
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
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let by = caller.by(state.clock.now());
    let removed = state
        .store
        .write("status_post.remove", move |tx| Ok::<_, Problem>(posts::remove(tx, &by, id)?))
        .await;
    state.engine.ask(RENDER_TASK);
    removed
}
