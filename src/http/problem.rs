//! How refusals look on the machine face: RFC 9457 `application/problem+json`, the same shape everywhere.
//!
//! The one place where errors of other modules become statuses. A 5xx never carries detail; its cause is logged.

mod of_webhooks;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError, web};
use serde::Serialize;

use super::body::Unread;
use crate::accounts;
use crate::accounts::access::Denial;
use crate::health::services;
use crate::heartbeats::save;
use crate::incidents;
use crate::prober;
use crate::probes;
use crate::status_page;
use crate::store;

/// A refusal. `detail` says what is wrong and what to do; it is shown to whoever asked.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Set where the store could not take something.
    pub unavailable: Option<Unavailable>,
}

/// Why the store could not take something; protocols that know more than 503 answer each in their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    Busy,
    Restarting,
    DiskFull,
    /// It failed, or is mounted read-only.
    DiskFailed,
    /// `retention.max_gb` is used up.
    OverBudget,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// What a full queue asks clients to wait.
const BUSY_RETRY_S: u16 = 2;
/// A full disk is not mended in seconds.
const DISK_FULL_RETRY_S: u16 = 30;
/// The same question again at once would take as long.
const SLOW_RETRY_S: u64 = 60;

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new(), unavailable: None }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, detail);
        let bearer = HeaderValue::from_static("Bearer");
        problem.headers.push((actix_web::http::header::WWW_AUTHENTICATE, bearer));
        problem
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// `what` such as "issue": the answer reads "There is no such issue."
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// Of a change that was made of an older state than the stored one.
    pub fn stale(what: &str) -> Self {
        let cure = "ask for it again and make your change anew";
        Self::new(StatusCode::CONFLICT, format!("Somebody changed this {what} meanwhile: {cure}."))
    }

    /// What is wrong with a form, to be told on the page that it was sent from. What no other form would mend stays a
    /// refusal.
    pub fn to_mend(self) -> Result<String, Self> {
        if self.status == StatusCode::BAD_REQUEST { Ok(self.detail) } else { Err(self) }
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// A failure that is not the caller's: logged here, told without detail.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here. The log has the cause under this request id.",
        )
    }

    /// The answer, with the request's id in it.
    pub fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.content_type("application/problem+json").json(Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            request_id,
        })
    }
}

/// Parameters and paths that cannot be read are refused like everything else: as a problem, and on a page within its frame.
pub fn parameters(config: &mut web::ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| unreadable(&error)))
        .app_data(web::PathConfig::default().error_handler(|error, _| unreadable(&error)));
}

fn unreadable(error: &dyn fmt::Display) -> actix_web::Error {
    Problem::bad_request(format!("This address cannot be read: {error}.")).into()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let unavailable = |why: Unavailable, detail: &str, after: u16| {
            let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(after.into());
            Self { unavailable: Some(why), ..problem }
        };
        match error {
            store::Error::Busy | store::Error::ReadersBusy => {
                unavailable(Unavailable::Busy, "Too much is waiting. Try again shortly.", BUSY_RETRY_S)
            }
            store::Error::ReadTooLong => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "This took too long to read and was given up. Ask for less: a shorter time, one project, another search.",
            )
            .retry_after(SLOW_RETRY_S),
            store::Error::Stopped => {
                unavailable(Unavailable::Restarting, "tocsin is restarting. Try again shortly.", BUSY_RETRY_S)
            }
            store::Error::DiskFull => unavailable(
                Unavailable::DiskFull,
                "The disk is full. Nothing of this was stored.",
                DISK_FULL_RETRY_S,
            ),
            store::Error::DiskFailed(_) | store::Error::ReadOnly => {
                tracing::error!(%error, "the disk takes no writes");
                let detail = "The disk of this tocsin takes no writes. Nothing of this was stored.";
                unavailable(Unavailable::DiskFailed, detail, DISK_FULL_RETRY_S)
            }
            store::Error::OverBudget => unavailable(
                Unavailable::OverBudget,
                "The byte budget of this tocsin is used up. Nothing of this was stored.",
                DISK_FULL_RETRY_S,
            ),
            store::Error::Newer { .. }
            | store::Error::Panicked
            | store::Error::Damaged(_)
            | store::Error::RolledBack
            | store::Error::Refused(_)
            | store::Error::Sqlite(_)
            | store::Error::Migration(_)
            | store::Error::Io(_) => Self::internal(&error),
        }
    }
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        let text = sentence(&unread.to_string());
        match unread {
            Unread::Late => Self::new(StatusCode::REQUEST_TIMEOUT, text),
            Unread::BrokenOff(_) => Self::bad_request(text),
            Unread::Refused(error) => {
                Self::new(StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST), text)
            }
            Unread::Crowded => store::Error::Busy.into(),
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let status = match denial {
            Denial::NotVisible => StatusCode::NOT_FOUND,
            Denial::NeedsRole(_)
            | Denial::NeedsScope(_)
            | Denial::NeedsProject
            | Denial::OneProjectOnly
            | Denial::NotForPeople => StatusCode::FORBIDDEN,
        };
        Self::new(status, sentence(&denial.to_string()))
    }
}

impl From<accounts::Error> for Problem {
    fn from(error: accounts::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            accounts::Error::Store(error) => error.into(),
            accounts::Error::Hashing(_) => Self::internal(&text),
            accounts::Error::UnknownUser
            | accounts::Error::UnknownProject
            | accounts::Error::UnknownKey
            | accounts::Error::UnknownToken
            | accounts::Error::UnknownSession => Self::new(StatusCode::NOT_FOUND, text),
            accounts::Error::OwnedByFile => Self::new(StatusCode::CONFLICT, text),
            _ => Self::bad_request(text),
        }
    }
}

impl From<probes::Error> for Problem {
    fn from(error: probes::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            probes::Error::Store(error) => error.into(),
            probes::Error::Accounts(error) => error.into(),
            probes::Error::Incidents(error) => error.into(),
            probes::Error::NotFound | probes::Error::UnknownProject => Self::new(StatusCode::NOT_FOUND, text),
            probes::Error::Sealing
            | probes::Error::KeyTaken(_)
            | probes::Error::OwnedByFile(_)
            | probes::Error::Newer(_)
            | probes::Error::TooMany => Self::new(StatusCode::CONFLICT, text),
            probes::Error::BadKey(_)
            | probes::Error::BadLine(_)
            | probes::Error::Invalid(_)
            | probes::Error::BadLabels
            | probes::Error::BadRunbook
            | probes::Error::UnknownParent(_)
            | probes::Error::Cycle(_)
            | probes::Error::TooDeep
            | probes::Error::TooManyParents
            | probes::Error::SecretMoves(_)
            | probes::Error::SecretTooLong(_)
            | probes::Error::NotPushed => Self::bad_request(text),
        }
    }
}

impl From<incidents::Error> for Problem {
    fn from(error: incidents::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            incidents::Error::Store(error) => error.into(),
            incidents::Error::NotFound(_) => Self::new(StatusCode::NOT_FOUND, text),
            incidents::Error::Invalid(_) => Self::bad_request(text),
            incidents::Error::Over
            | incidents::Error::LastWitness
            | incidents::Error::OwnedElsewhere(_)
            | incidents::Error::OwnedByFile
            | incidents::Error::NameTaken
            | incidents::Error::KeyTaken(_) => Self::new(StatusCode::CONFLICT, text),
        }
    }
}

impl From<save::Error> for Problem {
    fn from(error: save::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            save::Error::Store(error) => error.into(),
            save::Error::Accounts(error) => error.into(),
            save::Error::Incidents(error) => error.into(),
            save::Error::NotFound => Self::new(StatusCode::NOT_FOUND, text),
            save::Error::Line(_) => Self::bad_request(text),
            save::Error::OwnedByFile | save::Error::SlugTaken(_) | save::Error::TooMany => {
                Self::new(StatusCode::CONFLICT, text)
            }
        }
    }
}

impl From<services::Error> for Problem {
    fn from(error: services::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            services::Error::Store(error) => error.into(),
            services::Error::Incidents(error) => error.into(),
            services::Error::Accounts(error) => error.into(),
            services::Error::NotFound | services::Error::UnknownProject => {
                Self::new(StatusCode::NOT_FOUND, text)
            }
            services::Error::OwnedByFile(_) | services::Error::KeyTaken(_) => {
                Self::new(StatusCode::CONFLICT, text)
            }
            _ => Self::bad_request(text),
        }
    }
}

impl From<status_page::Error> for Problem {
    fn from(error: status_page::Error) -> Self {
        let text = sentence(&error.to_string());
        match error {
            status_page::Error::Store(error) => error.into(),
            status_page::Error::Accounts(error) => error.into(),
            status_page::Error::NotFound => Self::new(StatusCode::NOT_FOUND, text),
            status_page::Error::OwnedByFile => Self::new(StatusCode::CONFLICT, text),
            status_page::Error::Invalid(_) | status_page::Error::BadLine(_) => Self::bad_request(text),
        }
    }
}

/// Error texts begin small and end without a stop; answers are sentences.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

impl From<prober::TooMany> for Problem {
    fn from(error: prober::TooMany) -> Self {
        let detail = "Too many probes are being tried at once. Try again in a moment.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(error.retry_after.as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_ran_over_is_told_with_its_cure() {
        let problem = Problem::from(store::Error::ReadTooLong);
        assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(problem.detail.contains("Ask for less"), "{problem}");
        assert_eq!(problem.headers[0].0, RETRY_AFTER);
    }
}
