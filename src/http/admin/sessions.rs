//! One's own account: where one is signed in, and the password.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::form::Form;
use super::frame::{Frame, Place, page_with, see_other};
use super::passwords;
use super::sign_in::too_many;
use super::wording::When;
use crate::accounts::passwords::{PASSWORD_CHARS_MIN, Verdict};
use crate::accounts::sessions::{self, ListedSession};
use crate::accounts::sign_in::{Attempt, GateDecision, Seat};
use crate::accounts::users;
use crate::base::{Timestamp, Uid};
use crate::store::WriteTx;

#[derive(Template)]
#[template(path = "account.html", config = "src/http/admin/askama.toml")]
struct AccountPage {
    frame: Frame,
    role: &'static str,
    has_password: bool,
    /// Whether the current password must be shown to set another.
    asks_current: bool,
    sessions: Vec<SessionLine>,
    wrong: Option<String>,
    password_chars_min: usize,
}

/// A browser in which somebody is signed in.
pub(super) struct SessionLine {
    pub(super) id: String,
    pub(super) browser: String,
    pub(super) address: String,
    pub(super) seen: When,
    pub(super) began: When,
    pub(super) is_this: bool,
}

/// `GET /account`.
pub(super) async fn show(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    account(&state, signed_in, None).await
}

/// `POST /account/sessions/{id}/end`: signs out one other browser.
pub(super) async fn end(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("session"))?;
    let (user, by) = (form.signed_in.session.user, form.caller().by(state.clock.now()));
    state.store.write("session.close", move |tx| sessions::revoke(tx, &by, user, id)).await?;
    state.cache.sessions.forget_all();
    Ok(see_other("/account"))
}

/// `POST /account/sessions/end-others`: signs out everywhere but here.
pub(super) async fn end_others(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let (user, keep) = (form.signed_in.session.user, form.signed_in.session.id);
    let by = form.caller().by(state.clock.now());
    state.store.write("session.close_all", move |tx| sessions::revoke_all(tx, &by, user, Some(keep))).await?;
    state.cache.sessions.forget_all();
    Ok(see_other("/account"))
}

/// `POST /account/password`: sets a new password. Whoever has one shows it first, or came by a sign-in link, because
/// a forgotten one can be replaced no other way. Other browsers are signed out.
pub(super) async fn set_password(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let session = form.signed_in.session.clone();
    let email = session.email.clone();
    let credentials =
        state.store.read(move |tx| users::find_credentials(tx, &email).map_err(Problem::from)).await?;
    if !session.by_link && credentials.as_ref().is_some_and(|known| known.password.is_some()) {
        // A stolen session must not become a place to guess at; what strangers try elsewhere does not count here.
        let seat = Seat::Known(*session.uid.as_bytes());
        let attempt = Attempt::new(&session.email, seat, state.clock.now());
        if let GateDecision::TooMany { retry_after } = state.sign_in.try_enter(&attempt) {
            let wrong = too_many(retry_after);
            return account(&state, form.signed_in, Some((StatusCode::TOO_MANY_REQUESTS, wrong))).await;
        }
        match passwords::verify(&state, credentials, form.fields.secret("current")).await? {
            Verdict::Right(_) => state.sign_in.succeeded(&attempt),
            Verdict::UnknownUser | Verdict::WrongPassword | Verdict::Disabled | Verdict::NoPassword => {
                let wrong = "The current password is another one.".to_owned();
                return account(&state, form.signed_in, Some((StatusCode::BAD_REQUEST, wrong))).await;
            }
        }
    }
    let hash = match passwords::hash(&state, form.fields.secret("password"), &session.email).await {
        Ok(hash) => hash,
        Err(problem) => {
            let wrong = (StatusCode::BAD_REQUEST, problem.to_mend()?);
            return account(&state, form.signed_in, Some(wrong)).await;
        }
    };
    let by = form.caller().by(state.clock.now());
    let write = move |tx: &WriteTx<'_>| users::set_password(tx, &by, session.user, &hash, Some(session.id));
    state.store.write("password.set", write).await?;
    state.cache.sessions.forget_all();
    Ok(see_other("/account"))
}

async fn account(
    state: &AppState,
    signed_in: SignedIn,
    wrong: Option<(StatusCode, String)>,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let (status, wrong) = wrong.map_or((StatusCode::OK, None), |(status, text)| (status, Some(text)));
    let page = state
        .store
        .read(move |tx| {
            let session = &signed_in.session;
            let listed = sessions::list(tx, session.user, now)?;
            let user = users::find(tx, session.user)?.ok_or_else(|| Problem::not_found("user"))?;
            Ok::<_, Problem>(AccountPage {
                frame: Frame::load(tx, &signed_in, Place::Account)?,
                role: session.role.as_str(),
                has_password: user.has_password,
                asks_current: user.has_password && !session.by_link,
                sessions: listed.into_iter().map(|line| line_of(line, now, session.uid)).collect(),
                wrong,
                password_chars_min: PASSWORD_CHARS_MIN,
            })
        })
        .await?;
    page_with(status, &page)
}

pub(super) fn line_of(session: ListedSession, now: Timestamp, this: Uid) -> SessionLine {
    SessionLine {
        id: session.uid.to_string(),
        browser: session.user_agent.as_deref().map_or_else(|| "unknown browser".to_owned(), browser),
        address: session.address.unwrap_or_default(),
        seen: When::new(session.last_seen_at, now),
        began: When::new(session.created_at, now),
        is_this: session.uid == this,
    }
}

/// `Firefox on Linux` out of a user agent; the whole text where it says neither.
fn browser(user_agent: &str) -> String {
    // The order matters: most browsers name others before themselves.
    const BROWSERS: [(&str, &str); 6] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => user_agent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_as_people_name_it() {
        let table = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605 Version/17.5 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/120.0 Safari/537.36 Edg/120",
                "Edge on Windows",
            ),
            ("my-script", "my-script"),
        ];
        for (user_agent, expected) in table {
            assert_eq!(browser(user_agent), expected);
        }
    }
}
