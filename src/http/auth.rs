//! Who asks: a bearer token, a session cookie, or an ingest key.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use subtle::ConstantTimeEq;

use super::request::client_address;
use super::{AppState, Problem};
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::cache::Lookup;
use crate::accounts::projects::{self, Project, ProjectRef};
use crate::accounts::sessions::{self, Session};
use crate::accounts::tokens::{self, ApiToken};
use crate::accounts::{Actor, By, Scope, Scopes, TokenHash, Visible};
use crate::base::Secret;
use crate::store::ReadTx;

/// The session cookie's name.
pub const COOKIE: &str = "tocsin_session";

/// Somebody who may be here: a bearer token or a signed-in session. A handler asks [`Caller::may`] before it acts.
#[derive(Clone, Debug)]
pub struct Caller {
    pub actor: Actor,
    /// Set where a browser's session asks: its forms and scripts carry this token.
    pub csrf: Option<Secret>,
    pub address: Option<std::net::IpAddr>,
}

/// A caller with a session: pages.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub session: Arc<Session>,
    pub address: Option<std::net::IpAddr>,
}

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = state_of(&request)?;
            let address = client_address(&request, &state);
            if let Some(token) = bearer(&request) {
                let actor = token_actor(&state, &token).await?;
                return Ok(Self { actor, csrf: None, address });
            }
            let session = find_session(&request, &state).await?.ok_or_else(|| {
                Problem::unauthorized("Sign in, or send a token as `Authorization: Bearer …` (make one with `tocsin token create`).")
            })?;
            check_csrf(&request, &session)?;
            Ok(Self { actor: session.actor(), csrf: Some(session.csrf().clone()), address })
        })
    }
}

impl FromRequest for SignedIn {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = state_of(&request)?;
            let address = client_address(&request, &state);
            let session = find_session(&request, &state).await?;
            let session = session.ok_or_else(|| Problem::unauthorized("Sign in first."))?;
            Ok(Self { session, address })
        })
    }
}

/// A caller who may read; what is read is scoped by its query to [`Caller::visible`].
#[derive(Clone, Debug)]
pub struct Reader(pub Caller);

impl Reader {
    pub fn visible(&self) -> Visible {
        self.0.visible()
    }
}

impl FromRequest for Reader {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move {
            let caller = caller.await?;
            let subject = match caller.visible() {
                Visible::All => Subject::Instance,
                Visible::Only(projects) => {
                    projects.first().copied().map_or(Subject::Instance, Subject::Project)
                }
            };
            caller.may(Permission::Read, subject)?;
            Ok(Self(caller))
        })
    }
}

impl Caller {
    /// Refuses what the caller may not do.
    pub fn may(&self, permission: Permission, subject: Subject) -> Result<(), Problem> {
        match decide(&self.actor, permission, subject) {
            Decision::Allowed => Ok(()),
            Decision::Denied(denial) => Err(denial.into()),
        }
    }

    pub fn visible(&self) -> Visible {
        self.actor.visible()
    }

    /// The name under which a change is recorded.
    pub fn by(&self, now: crate::base::Timestamp) -> By {
        By { actor: self.actor.clone(), now, address: self.address }
    }
}

/// The project that `project=` names, by number or slug, among those that the caller may see.
pub fn find_project(tx: &ReadTx<'_>, visible: &Visible, named: &str) -> Result<Project, Problem> {
    let reference: ProjectRef = named.parse().map_err(|_| Problem::not_found("project"))?;
    projects::find_visible(tx, &reference, visible)?.ok_or_else(|| Problem::not_found("project"))
}

/// The bearer token of a request.
pub fn bearer(request: &HttpRequest) -> Option<Secret> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim()))
}

/// What a bearer token may do.
pub async fn token_actor(state: &AppState, token: &Secret) -> Result<Actor, Problem> {
    if let Some(key) = &state.config.server.admin_api_key
        && key.matches(token.expose())
    {
        return Ok(configured_admin());
    }
    let unknown =
        || Problem::unauthorized("This token is unknown or revoked: make one with `tocsin token create`.");
    let found = find_token(state, token).await?.ok_or_else(unknown)?;
    if found.is_unseen(state.clock.now()) {
        note_use(state, &found, token).await;
    }
    Ok(found.actor())
}

async fn find_token(state: &AppState, token: &Secret) -> Result<Option<Arc<ApiToken>>, Problem> {
    let (hash, now) = (TokenHash::of(token.expose()), state.clock.now());
    match state.cache.tokens.look_up(&hash, now) {
        Lookup::Present(token) => Ok(Some(token)),
        Lookup::Absent => Ok(None),
        Lookup::Unknown(ticket) => {
            let key = hash;
            let found = state.store.read_reserved(move |tx| tokens::find_active(tx, &key)).await?;
            Ok(state.cache.tokens.remember(ticket, &hash, found, now))
        }
    }
}

/// "Last used" is a courtesy: a full queue must not refuse the request for it.
async fn note_use(state: &AppState, token: &ApiToken, secret: &Secret) {
    let (id, now) = (token.id, state.clock.now());
    if state.store.write("token.touch", move |tx| tokens::touch(tx, id, now)).await.is_ok() {
        state.cache.tokens.forget(&TokenHash::of(secret.expose()));
    }
}

/// The session of a request's cookie.
pub async fn find_session(request: &HttpRequest, state: &AppState) -> Result<Option<Arc<Session>>, Problem> {
    let Some(cookie) = request.cookie(COOKIE) else { return Ok(None) };
    let (hash, now) = (TokenHash::of(cookie.value()), state.clock.now());
    let found = match state.cache.sessions.look_up(&hash, now) {
        Lookup::Present(session) => Some(session),
        Lookup::Absent => None,
        Lookup::Unknown(ticket) => {
            let key = hash;
            let found = state.store.read(move |tx| sessions::find(tx, &key, now)).await?;
            state.cache.sessions.remember(ticket, &hash, found, now)
        }
    };
    let session = found.filter(|session| session.is_good(now));
    if let Some(session) = session.as_ref().filter(|session| session.is_unseen(now)) {
        let id = session.id;
        if state.store.write("session.touch", move |tx| sessions::touch(tx, id, now)).await.is_ok() {
            state.cache.sessions.forget(&hash);
        }
    }
    Ok(session)
}

/// The cookie that carries a session's token for as long as the session lives.
pub fn session_cookie(token: &Secret, secure: bool) -> Cookie<'static> {
    Cookie::build(COOKIE, token.expose().to_owned())
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(actix_web::cookie::SameSite::Lax)
        .max_age(actix_web::cookie::time::Duration::seconds(
            i64::try_from(sessions::SESSION_LIFETIME.as_secs()).unwrap_or(0),
        ))
        .finish()
}

/// A session may change something only with its own token in `X-CSRF-Token`; forms carry it as a field and are
/// checked where they are read.
fn check_csrf(request: &HttpRequest, session: &Session) -> Result<(), Problem> {
    if request.method().is_safe() {
        return Ok(());
    }
    let given = request.headers().get("x-csrf-token").map_or(&[][..], |value| value.as_bytes());
    if bool::from(given.ct_eq(session.csrf().expose().as_bytes())) {
        Ok(())
    } else {
        Err(Problem::forbidden("The form is too old or not ours: load the page again."))
    }
}

/// The token named by `ADMIN_API_KEY`.
fn configured_admin() -> Actor {
    let scopes = Scopes::only(Scope::Admin);
    Actor::Token { id: tokens::TokenId(0), name: "ADMIN_API_KEY".to_owned(), scopes, project: None }
}

/// What every handler can reach, where no extractor gives it.
pub fn state_of(request: &HttpRequest) -> Result<web::Data<AppState>, Problem> {
    request
        .app_data::<web::Data<AppState>>()
        .cloned()
        .ok_or_else(|| Problem::internal(&"no application state"))
}
