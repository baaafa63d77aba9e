//! Browsers that signed in before: a long-lived cookie that names the account, sealed, so that strangers who guess at
//! an account cannot keep its owner out. It lets nobody in.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::{AppState, Problem};
use crate::accounts::Email;
use crate::accounts::sign_in::DeviceId;
use crate::base::Secret;

const COOKIE: &str = "tocsin_device";
/// Somebody who signs in once a quarter is still known.
const LIFETIME: Duration = Duration::days(365);
/// What is sealed for this cookie opens nowhere else, and nothing else opens here.
const CONTEXT: &str = "known device";

/// The device of a request, where it signed in to this account before.
pub(super) fn known(request: &HttpRequest, state: &AppState, email: &Email) -> Option<DeviceId> {
    let sealed = URL_SAFE_NO_PAD.decode(request.cookie(COOKIE)?.value()).ok()?;
    let account = state.sealer.open(&sealed, CONTEXT).ok()?;
    // The sealed value begins with what is random in it.
    let id = *sealed.first_chunk()?;
    (account.expose() == email.folded()).then_some(id)
}

/// The cookie of a browser that just signed in to this account; only the sign-in gets it back.
pub(super) fn cookie(state: &AppState, email: &Email, secure: bool) -> Result<Cookie<'static>, Problem> {
    let account = Secret::new(email.folded());
    let sealed = state.sealer.seal(&state.entropy, &account, CONTEXT);
    let value = URL_SAFE_NO_PAD.encode(sealed.map_err(|error| Problem::internal(&error))?);
    let cookie = Cookie::build(COOKIE, value).path("/sign-in").http_only(true).secure(secure);
    Ok(cookie.same_site(SameSite::Lax).max_age(LIFETIME).finish())
}
