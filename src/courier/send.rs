//! One attempt: the call, and what is kept of its answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::request;
use crate::base::{Clock, Secret, Timestamp, TraceKey};
use crate::outbound::{self, Client, Response};
use crate::probes::Secrets;
use crate::probes::redactor::Redactor;
use crate::webhooks::Payload;
use crate::webhooks::alarms::Subject;
use crate::webhooks::delivery::{ANSWER_CHARS_MAX, Claimed, ERROR_CHARS_MAX};
use crate::webhooks::target::{Signing, Target};
use crate::webhooks::verdict::{Reply, answered};

/// What sends. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    pub client: Client,
    pub clock: Clock,
    pub trace: TraceKey,
}

/// A destination, and what takes its secrets out of what its app says.
pub struct Place {
    pub target: Target,
    subject: Arc<Subject>,
    redactor: Redactor,
}

/// What came of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    pub started_at: Timestamp,
    pub duration: Duration,
    pub reply: Reply,
    /// `None`: it came through.
    pub error: Option<String>,
    /// Of an answer that is no success: its status, the headers that tell something, and the beginning of its body.
    pub answer: Option<String>,
}

/// What an answer's headers tell about a failure; the others are the app's own matter.
const TOLD: [&str; 6] =
    ["content-type", "location", "retry-after", "server", "www-authenticate", "x-request-id"];
/// Of one header.
const HEADER_CHARS_MAX: usize = 200;

impl Place {
    pub fn new(target: Target) -> Self {
        let mut secrets = target.secrets.0.clone();
        if let Signing::With(secret) = &target.signing {
            secrets.insert("signing secret of the source".to_owned(), Secret::clone(secret));
        }
        let subject = Arc::new(target.subject.clone());
        Self { target, subject, redactor: Redactor::new(&Secrets(secrets)) }
    }

    pub fn subject(&self) -> Arc<Subject> {
        Arc::clone(&self.subject)
    }
}

impl Sender {
    /// Makes one attempt at `claimed`.
    pub async fn send(&self, place: &Arc<Place>, claimed: &Claimed, payload: Payload) -> Came {
        let (started_at, began) = (self.clock.now(), self.clock.monotonic());
        let request = match request::build(&place.target, claimed, payload, (&self.trace, started_at)) {
            Ok(request) => request,
            Err(unsendable) => {
                let error = Some(unsendable.to_string());
                return Came {
                    started_at,
                    duration: Duration::ZERO,
                    reply: Reply::Unsendable,
                    error,
                    answer: None,
                };
            }
        };
        let result = self.client.send(request, started_at).await;
        let duration = self.clock.monotonic().saturating_sub(began);
        let (reply, error, answer) = place.read(result);
        Came { started_at, duration, reply, error, answer }
    }
}

impl Place {
    fn read(&self, result: Result<Response, outbound::Error>) -> (Reply, Option<String>, Option<String>) {
        match result {
            Ok(response) => {
                let reply = Reply::Answered { status: response.status, retry_after: response.retry_after };
                if response.is_success() {
                    return (reply, None, None);
                }
                (reply, Some(answered(response.status)), Some(self.kept(&response)))
            }
            Err(error) => {
                (Reply::Silent, Some(self.redactor.own_words(&error.to_string(), ERROR_CHARS_MAX)), None)
            }
        }
    }

    fn kept(&self, response: &Response) -> String {
        let mut kept = response.status.to_string();
        for name in TOLD {
            let value = response.headers.get(name).and_then(|value| value.to_str().ok());
            if let Some(value) = value {
                let value = self.redactor.header(name, value, HEADER_CHARS_MAX);
                // Writing to a String cannot fail.
                write!(kept, "\n{name}: {value}").ok();
            }
        }
        let body = self
            .redactor
            .lines(response.text().trim(), ANSWER_CHARS_MAX - kept.chars().count().min(1500) - 2);
        if !body.is_empty() {
            kept.push_str("\n\n");
            kept.push_str(&body);
        }
        kept
    }
}
