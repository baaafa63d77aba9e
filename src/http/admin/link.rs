//! The one-use sign-in link. Looking at it changes nothing, because mail scanners look; only its button uses it up.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::super::{AppState, Problem};
use super::form::StrangersForm;
use super::frame::page_with;
use super::passwords;
use super::sign_in::{browser, signed_in};
use crate::accounts::links::{self, LINK_TOKEN_CHARS, LinkFor};
use crate::accounts::passwords::{PASSWORD_CHARS_MIN, PasswordHash};
use crate::accounts::{Actor, By, Email, Error, TokenHash, sessions, users};

#[derive(Template)]
#[template(path = "link.html", config = "src/http/admin/askama.toml")]
struct LinkPage {
    opens: Opens,
    email: String,
    wrong: Option<String>,
    password_chars_min: usize,
}

/// What the link would do.
enum Opens {
    FirstOwner,
    User(String),
    Nothing,
}

impl From<Option<LinkFor>> for Opens {
    fn from(found: Option<LinkFor>) -> Self {
        match found {
            Some(LinkFor::FirstOwner) => Self::FirstOwner,
            Some(LinkFor::User(user)) => Self::User(user.email.to_string()),
            None => Self::Nothing,
        }
    }
}

/// `GET /sign-in/{token}`.
pub(super) async fn show(
    state: web::Data<AppState>,
    token: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    answer(find(&state, &token).await?.into(), String::new(), None)
}

/// `POST /sign-in/{token}`: makes the first owner, or signs the link's user in.
pub(super) async fn consume(
    state: web::Data<AppState>,
    request: HttpRequest,
    token: web::Path<String>,
    form: StrangersForm,
) -> Result<HttpResponse, Problem> {
    let (email, first_owner, next) = match find(&state, &token).await? {
        None => return answer(Opens::Nothing, String::new(), None),
        // Without a password the next sign-in would need a link again: the account's page asks for one.
        Some(LinkFor::User(user)) => (user.email, None, if user.has_password { "/" } else { "/account" }),
        Some(LinkFor::FirstOwner) => {
            let typed = form.fields.text("email").to_owned();
            match first_owner(&state, &form, &typed).await {
                Ok(owner) => (owner.0.clone(), Some(owner), "/"),
                Err(problem) => return answer(Opens::FirstOwner, typed, Some(problem.to_mend()?)),
            }
        }
    };
    let (now, entropy, hash) = (state.clock.now(), state.entropy.clone(), TokenHash::of(&token));
    let browser = browser(&request, &state);
    let opened = state.store.write("link.consume", move |tx| {
        let owner = match (links::consume(tx, &hash, now)?, first_owner) {
            (LinkFor::User(user), _) => {
                return sessions::open_by_link(tx, now, &entropy, user.id, &browser);
            }
            (LinkFor::FirstOwner, Some((email, password))) => {
                let by = By { actor: Actor::Tocsin, now, address: browser.address };
                users::create_first_owner(tx, &by, &entropy, email, password)?
            }
            (LinkFor::FirstOwner, None) => return Err(Error::LinkSpent),
        };
        sessions::open(tx, now, &entropy, owner.id, &browser)
    });
    match opened.await {
        Ok(session) => signed_in(&state, &request, &session, &email, next),
        Err(Error::LinkSpent | Error::NotFirst) => answer(Opens::Nothing, String::new(), None),
        Err(error) => Err(error.into()),
    }
}

async fn find(state: &AppState, token: &str) -> Result<Option<LinkFor>, Problem> {
    if token.len() != LINK_TOKEN_CHARS {
        return Ok(None);
    }
    let (hash, now) = (TokenHash::of(token), state.clock.now());
    state.store.read(move |tx| links::find(tx, &hash, now).map_err(Problem::from)).await
}

async fn first_owner(
    state: &AppState,
    form: &StrangersForm,
    typed: &str,
) -> Result<(Email, PasswordHash), Problem> {
    let email: Email = typed.parse()?;
    let hash = passwords::hash(state, form.fields.secret("password"), &email).await?;
    Ok((email, hash))
}

/// The address is a secret: no cache keeps it. Other sites do not learn it either, by the referrer policy of every
/// page; `no-referrer` here would take the `Origin` from the form too (Fetch standard, §3.2).
fn answer(opens: Opens, email: String, wrong: Option<String>) -> Result<HttpResponse, Problem> {
    let status = match (&opens, &wrong) {
        (Opens::Nothing, _) => StatusCode::GONE,
        (Opens::FirstOwner | Opens::User(_), Some(_)) => StatusCode::BAD_REQUEST,
        (Opens::FirstOwner | Opens::User(_), None) => StatusCode::OK,
    };
    let page = LinkPage { opens, email, wrong, password_chars_min: PASSWORD_CHARS_MIN };
    let mut response = page_with(status, &page)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
