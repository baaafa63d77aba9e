//! Hashing passwords for requests: one at a time, away from the workers.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web;

use super::super::{AppState, Problem};
use crate::accounts::Email;
use crate::accounts::passwords::{self, NewPassword, PasswordHash, Verdict};
use crate::accounts::users::Credentials;
use crate::base::Secret;

/// Some hundred hashes wait at most this long; whoever waits longer tries again.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Checks a password, in the same time for everybody.
pub(super) async fn verify(
    state: &AppState,
    credentials: Option<Credentials>,
    candidate: Secret,
) -> Result<Verdict, Problem> {
    alone(state, move || passwords::verify(credentials.as_ref(), &candidate)).await
}

/// Hashes a new password.
///
/// # Errors
/// 400 with the reason where it is not good enough.
pub(super) async fn hash(state: &AppState, password: Secret, email: &Email) -> Result<PasswordHash, Problem> {
    let password = NewPassword::parse(password, email)?;
    let entropy = state.entropy.clone();
    Ok(alone(state, move || passwords::hash(&password, &entropy)).await??)
}

async fn alone<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many sign-ins wait. Try again shortly.");
    let turn =
        tokio::time::timeout(WAIT_MAX, state.hashing.acquire()).await.map_err(|_| busy().retry_after(5))?;
    let _turn = turn.map_err(|error| Problem::internal(&error))?;
    let span = tracing::Span::current();
    web::block(move || span.in_scope(work)).await.map_err(|error| Problem::internal(&error))
}
