//! Putting a project away and taking it out again, with all that watches for it.

use std::sync::Arc;

use crate::accounts::By;
use crate::accounts::projects;
use crate::base::ProjectId;
use crate::heartbeats;
use crate::http::{AppState, Problem};
use crate::incidents::Closing;
use crate::probes::record::forget_project;
use crate::store::WriteTx;

/// Puts a project away: its keys let nothing in, its probes are not asked, and what it rings about is over. Whoever calls
/// asked for permission. Where that was interrupted, doing it once more ends the rest of what rings.
///
/// # Errors
/// Where there is none, or a file owns it.
pub async fn archive(state: &AppState, by: By, id: ProjectId) -> Result<(), Problem> {
    let incidents = Arc::clone(&state.incidents);
    let (now, who) = (by.now, by.actor.to_string());
    let close = move |tx: &WriteTx<'_>| incidents.close_project(tx, now, id, &who);
    let first = close.clone();
    let archive = move |tx: &WriteTx<'_>| {
        projects::archive(tx, &by, id)?;
        forget_project(tx, by.now, id, "its project is archived")?;
        tx.touch(heartbeats::HEARTBEATS);
        Ok::<_, Problem>(first(tx)?)
    };
    let mut closing = state.store.write("project.archive", archive).await?;
    while closing == Closing::GoesOn {
        closing = state.store.write("project.close", close.clone()).await?;
    }
    state.cache.keys.forget_all();
    Ok(())
}

/// Takes a project out of the archive: its probes are asked at once, its heartbeats expected from now on.
///
/// # Errors
/// Where there is none.
pub async fn restore(state: &AppState, by: By, id: ProjectId) -> Result<(), Problem> {
    let restore = move |tx: &WriteTx<'_>| {
        if projects::is_archived(tx, id)? {
            forget_project(tx, by.now, id, "its project was restored; not asked since")?;
            heartbeats::begin_anew(tx, by.now, id)?;
        }
        projects::restore(tx, &by, id)?;
        Ok::<_, Problem>(())
    };
    state.store.write("project.restore", restore).await?;
    state.cache.keys.forget_all();
    Ok(())
}
