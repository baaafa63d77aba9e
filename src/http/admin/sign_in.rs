//! Signing in with a password, and out.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::super::auth::{COOKIE, find_session, session_cookie};
use super::super::request::{client_address, is_https, user_agent};
use super::super::{AppState, Problem};
use super::device;
use super::form::{Form, StrangersForm};
use super::frame::{page, page_with, see_other};
use super::moments::span;
use super::passwords;
use crate::accounts::passwords::Verdict;
use crate::accounts::sessions::{self, Browser};
use crate::accounts::sign_in::{Attempt, GateDecision, Seat};
use crate::accounts::users::{self, UserId};
use crate::accounts::{Email, TokenHash};

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/http/admin/askama.toml")]
struct SignInPage {
    email: String,
    next: String,
    wrong: Option<String>,
    /// Nobody can sign in yet: the first owner comes by the link.
    is_new: bool,
}

#[derive(Deserialize)]
pub(super) struct SignInQuery {
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`.
pub(super) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
    query: web::Query<SignInQuery>,
) -> Result<HttpResponse, Problem> {
    let next = safe_next(&query.next).to_owned();
    if find_session(&request, &state).await?.is_some() {
        return Ok(see_other(&next));
    }
    let is_new = !state.store.read(|tx| users::exist(tx).map_err(Problem::from)).await?;
    page(&SignInPage { email: String::new(), next, wrong: None, is_new })
}

/// `POST /sign-in`.
pub(super) async fn sign_in(
    state: web::Data<AppState>,
    request: HttpRequest,
    form: StrangersForm,
) -> Result<HttpResponse, Problem> {
    let typed = form.fields.text("email").to_owned();
    let next = safe_next(form.fields.text("next")).to_owned();
    let refuse = |status, wrong: String| {
        page_with(
            status,
            &SignInPage { email: typed.clone(), next: next.clone(), wrong: Some(wrong), is_new: false },
        )
    };
    let wrong =
        || refuse(StatusCode::UNAUTHORIZED, "This address and password do not belong together.".to_owned());
    let Ok(email) = typed.parse::<Email>() else { return wrong() };
    let attempt = Attempt::new(&email, seat(&request, &state, &email), state.clock.now());
    if let GateDecision::TooMany { retry_after } = state.sign_in.try_enter(&attempt) {
        let seconds = retry_after.as_secs() + 1;
        let mut page = refuse(StatusCode::TOO_MANY_REQUESTS, too_many(retry_after))?;
        page.headers_mut().insert(RETRY_AFTER, seconds.into());
        return Ok(page);
    }
    let named = email.clone();
    let credentials =
        state.store.read(move |tx| users::find_credentials(tx, &named).map_err(Problem::from)).await?;
    match passwords::verify(&state, credentials, form.fields.secret("password")).await? {
        Verdict::Right(user) => {
            state.sign_in.succeeded(&attempt);
            open_session(&state, &request, user.id, &email, &next).await
        }
        Verdict::UnknownUser | Verdict::WrongPassword | Verdict::Disabled | Verdict::NoPassword => {
            tracing::info!("a sign-in was refused");
            wrong()
        }
    }
}

/// Where an attempt at this account counts.
fn seat(request: &HttpRequest, state: &AppState, email: &Email) -> Seat {
    let address = || client_address(request, state).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    device::known(request, state, email).map_or_else(|| Seat::Address(address()), Seat::Known)
}

/// What somebody reads who tried too often.
pub(super) fn too_many(retry_after: Duration) -> String {
    let wait = span(Duration::from_secs(retry_after.as_secs() + 1));
    format!("Too many wrong tries. Wait {wait}, or ask an owner for a link (tocsin user link).")
}

/// `POST /sign-out`: ends this session and takes what the browser kept of its pages.
pub(super) async fn sign_out(
    state: web::Data<AppState>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (user, session) = (form.signed_in.session.user, form.signed_in.session.uid);
    let by = form.caller().by(state.clock.now());
    state.store.write("session.close", move |tx| sessions::revoke(tx, &by, user, session)).await?;
    let mut response = see_other("/sign-in");
    if let Some(mut cookie) = request.cookie(COOKIE) {
        state.cache.sessions.forget(&TokenHash::of(cookie.value()));
        cookie.set_path("/");
        response.add_removal_cookie(&cookie).map_err(|error| Problem::internal(&error))?;
    }
    response.headers_mut().insert(
        actix_web::http::header::HeaderName::from_static("clear-site-data"),
        actix_web::http::header::HeaderValue::from_static("\"cache\""),
    );
    Ok(response)
}

/// Signs `user` in on this browser and sends it to `next`.
async fn open_session(
    state: &web::Data<AppState>,
    request: &HttpRequest,
    user: UserId,
    email: &Email,
    next: &str,
) -> Result<HttpResponse, Problem> {
    let (now, entropy, browser) = (state.clock.now(), state.entropy.clone(), browser(request, state));
    let token = state
        .store
        .write("session.open", move |tx| sessions::open(tx, now, &entropy, user, &browser))
        .await?;
    signed_in(state, request, &token, email, next)
}

/// The answer that carries a new session's cookie, and that of a known device.
pub(super) fn signed_in(
    state: &AppState,
    request: &HttpRequest,
    token: &crate::base::Secret,
    email: &Email,
    next: &str,
) -> Result<HttpResponse, Problem> {
    let mut response = see_other(next);
    let secure = is_https(request, state);
    for cookie in [session_cookie(token, secure), device::cookie(state, email, secure)?] {
        response.add_cookie(&cookie).map_err(|error| Problem::internal(&error))?;
    }
    Ok(response)
}

pub(super) fn browser(request: &HttpRequest, state: &AppState) -> Browser {
    Browser { user_agent: user_agent(request), address: client_address(request, state) }
}

/// A path of ours, never another site: browsers take `//` and `/\` for one.
fn safe_next(next: &str) -> &str {
    let is_path =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if is_path && !next.starts_with("/sign-in") { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_nobody_is_sent_to_another_site() {
        let table = [
            ("/issues?query=a", "/issues?query=a"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("/sign-in", "/"),
        ];
        for (next, expected) in table {
            assert_eq!(safe_next(next), expected, "{next}");
        }
    }
}
