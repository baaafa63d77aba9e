//! What people send: a form, with the proof that it is one of ours.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use subtle::ConstantTimeEq;

use super::super::auth::{Caller, SignedIn, state_of};
use super::super::body::read_small;
use super::super::doubles::Asked;
use super::super::{AppState, Problem};
use crate::base::Secret;

/// A form of somebody signed in. Its field `csrf`, or the header `X-CSRF-Token`, carries the session's token.
#[derive(Clone, Debug)]
pub struct Form {
    pub signed_in: SignedIn,
    pub fields: Fields,
}

/// A form of somebody who is not signed in yet. It was sent from one of our own pages.
#[derive(Clone, Debug)]
pub struct StrangersForm {
    pub fields: Fields,
}

/// The fields of a form in their order; a name may stand there more than once.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, String)>);

/// What is wrong with a form, by field; each text says how to mend it.
#[derive(Debug, Default)]
pub struct Wrongs(Vec<(&'static str, String)>);

/// A thousand selected lines with their ids, or the longest list of origins.
const FORM_BYTES_MAX: usize = 256 * 1024;
/// An address, a password and where to go next; of whoever is not signed in nobody knows who it is.
const STRANGERS_FORM_BYTES_MAX: usize = 8 * 1024;

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl Fields {
    /// The first field of this name, trimmed; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.first(name).unwrap_or("").trim()
    }

    /// A password or token: as it was typed, blanks included.
    pub fn secret(&self, name: &str) -> Secret {
        Secret::new(self.first(name).unwrap_or(""))
    }

    /// The first field of this name as it was typed, with its line breaks; empty where there is none.
    pub fn whole(&self, name: &str) -> &str {
        self.first(name).unwrap_or("")
    }

    /// Every field whose name begins with `start`: the rest of its name, and its text.
    pub fn beginning<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, text)| Some((name.strip_prefix(start)?, text.as_str())))
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether a checkbox is ticked.
    pub fn is_on(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| !value.is_empty())
    }
}

/// Names only: forms carry passwords.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl From<Vec<(String, String)>> for Fields {
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

impl Wrongs {
    pub fn one(field: &'static str, text: impl Into<String>) -> Self {
        Self(vec![(field, text.into())])
    }

    /// Of a form that is shown anew with what somebody else saved since.
    pub(super) fn stale(what: &str) -> Self {
        let text = "Here is what it is now: nothing of yours was saved.";
        Self::one("form", format!("Somebody changed this {what} meanwhile. {text}"))
    }

    /// Of a form that was made of an older state, and is shown anew as it was typed.
    pub(super) fn overtaken(what: &str) -> Self {
        let text = "Nothing of yours was saved, and here is what you typed: open this page in another tab to see what \
             it is now, then save to put yours in its place.";
        Self::one("form", format!("Somebody changed this {what} meanwhile. {text}"))
    }

    /// The first thing that is wrong with a field is told.
    pub fn add(&mut self, field: &'static str, text: impl Into<String>) {
        if self.of(field).is_empty() {
            self.0.push((field, text.into()));
        }
    }

    /// What is wrong with a field; empty where it is right.
    pub fn of(&self, field: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == field).map_or("", |(_, text)| text)
    }

    /// The first thing that is wrong; `None` where nothing is.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(|(_, text)| text.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Form {
    /// Answers with `act`, once: the second of two equal forms sent at once, as by a double click, gets the answer of
    /// the first. Forms that make something want it.
    pub(super) async fn once<Acting>(
        self,
        state: web::Data<AppState>,
        place: &str,
        act: impl FnOnce(web::Data<AppState>, Self) -> Acting,
    ) -> Result<HttpResponse, Problem>
    where
        Acting: Future<Output = Result<HttpResponse, Problem>> + 'static,
    {
        let fields = self.fields.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let asked = Asked::new(self.signed_in.session.uid, place, fields);
        let acting = act(state.clone(), self);
        state.doubles.once(asked, state.clock.now(), acting).await
    }

    pub fn text(&self, name: &str) -> &str {
        self.fields.text(name)
    }

    /// Whether the thing was changed since this form was shown, by its `version` now. A script may leave `seen` out.
    pub(super) fn is_stale(&self, version: impl std::fmt::Display) -> bool {
        let seen = self.text("seen");
        !seen.is_empty() && seen != version.to_string()
    }

    /// The version that this form was made of; a script may leave `seen` out.
    pub(super) fn seen(&self) -> Option<i64> {
        // What is no version is none that there is now.
        Some(self.text("seen")).filter(|seen| !seen.is_empty()).map(|seen| seen.parse().unwrap_or(-1))
    }

    pub fn caller(&self) -> Caller {
        self.signed_in.caller()
    }
}

impl SignedIn {
    /// The same person as [`Caller`], for questions of permission and for the audit log.
    pub fn caller(&self) -> Caller {
        Caller { actor: self.session.actor(), csrf: Some(self.session.csrf().clone()), address: self.address }
    }
}

impl FromRequest for Form {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let signed_in = SignedIn::from_request(request, payload);
        let header = request.headers().get("x-csrf-token").map(|value| value.as_bytes().to_vec());
        let fields = read_fields(request, payload, FORM_BYTES_MAX);
        Box::pin(async move {
            let (signed_in, fields) = (signed_in.await?, fields.await?);
            let given = header.unwrap_or_else(|| fields.text("csrf").as_bytes().to_vec());
            if bool::from(given.ct_eq(signed_in.session.csrf().expose().as_bytes())) {
                Ok(Self { signed_in, fields })
            } else {
                Err(Problem::forbidden("This form is too old or not ours: load the page again."))
            }
        })
    }
}

impl FromRequest for StrangersForm {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_ours = is_same_origin(request);
        let fields = read_fields(request, payload, STRANGERS_FORM_BYTES_MAX);
        Box::pin(async move {
            if !is_ours {
                return Err(Problem::forbidden("This form was sent from another site: open the page here."));
            }
            Ok(Self { fields: fields.await? })
        })
    }
}

fn read_fields(request: &HttpRequest, payload: &mut Payload, bytes_max: usize) -> Extracted<Fields> {
    let (request, payload) = (request.clone(), payload.take());
    Box::pin(async move {
        if !request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(unreadable(&"it is none as browsers send them"));
        }
        let bytes_max = state_of(&request)?.config.limits.api_body_bytes_max.min(bytes_max);
        let body = read_small(&request, payload, bytes_max).await?;
        let text = std::str::from_utf8(&body).map_err(|error| unreadable(&error))?;
        let fields = web::Query::<Vec<(String, String)>>::from_query(text);
        Ok(Fields(fields.map_err(|error| unreadable(&error))?.into_inner()))
    })
}

fn unreadable(why: &dyn std::fmt::Display) -> Problem {
    Problem::bad_request(format!("The form cannot be read: {why}."))
}

/// Without a session there is no token to compare; the browser says where a form comes from (Fetch Metadata,
/// else RFC 6454). A client that says nothing is no browser that could be misled.
fn is_same_origin(request: &HttpRequest) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = header("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (header("origin"), header("host")) {
        (None, _) => true,
        (Some(origin), host) => origin.split_once("://").map(|(_, rest)| rest) == host,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_strangers_form_must_come_from_our_own_page() {
        let table: [(&[(&str, &str)], bool); 6] = [
            (&[], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://t"), ("host", "t")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "https://t:8787"), ("host", "t:8787")], true),
            (&[("origin", "https://evil"), ("host", "t:8787")], false),
        ];
        for (headers, expected) in table {
            let mut request = TestRequest::post();
            for header in headers {
                request = request.insert_header(*header);
            }
            assert_eq!(is_same_origin(&request.to_http_request()), expected, "{headers:?}");
        }
    }

    #[test]
    fn fields_never_show_their_values() {
        let fields = Fields(vec![("password".to_owned(), "hunter2".to_owned())]);
        assert_eq!(format!("{fields:?}"), r#"["password"]"#);
        assert_eq!(fields.text("password"), "hunter2");
        assert!(fields.is_on("password") && !fields.is_on("none"));
    }
}
