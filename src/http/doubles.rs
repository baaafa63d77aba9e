//! A form that is sent twice at once, by a double click, acts once: the second gets the first's answer, secret included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::MessageBody as _;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::Problem;
use crate::base::{Timestamp, Uid};

/// The answers of the last moments, each under what was asked.
#[derive(Default)]
pub struct Doubles(Mutex<HashMap<Asked, Answered>>);

/// Who sent what where, as a hash: forms carry secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked([u8; 32]);

struct Answered {
    at: Timestamp,
    answer: Arc<Waiting>,
}

/// Whoever comes second waits here for the first.
type Waiting = tokio::sync::Mutex<Option<Kept>>;

/// An answer that can be given again.
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: actix_web::web::Bytes,
}

/// An equal form after this is meant.
const SAME_CLICK: Duration = Duration::from_secs(5);
/// Beyond as many at once, the oldest is forgotten.
const KEPT_MAX: usize = 256;

impl Asked {
    pub fn new<'a>(session: Uid, place: &str, fields: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        add(&session.to_string());
        add(place);
        for (name, value) in fields {
            add(name);
            add(value);
        }
        Self(hash.finalize().into())
    }
}

impl Doubles {
    /// Runs `act`, or answers as the equal form did that came a moment ago. A refusal is not kept.
    pub async fn once(
        &self,
        asked: Asked,
        now: Timestamp,
        act: impl Future<Output = Result<HttpResponse, Problem>> + 'static,
    ) -> Result<HttpResponse, Problem> {
        let answer = self.answer_of(asked, now);
        let mut kept = Arc::clone(&answer).lock_owned().await;
        if let Some(kept) = kept.as_ref() {
            return Ok(kept.response());
        }
        // A browser lets go of the first request when it sends the second: what was begun is finished without it.
        let run = actix_web::rt::spawn(async move {
            let made = Kept::read(act.await?)?;
            let response = made.response();
            if !response.status().is_client_error() && !response.status().is_server_error() {
                *kept = Some(made);
            }
            Ok(response)
        });
        run.await.map_err(|error| Problem::internal(&error))?
    }

    fn answer_of(&self, asked: Asked, now: Timestamp) -> Arc<Waiting> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, answered| now < answered.at + SAME_CLICK);
        if known.len() >= KEPT_MAX {
            let oldest = known.iter().min_by_key(|(_, answered)| answered.at).map(|(asked, _)| *asked);
            oldest.map(|asked| known.remove(&asked));
        }
        let new = || Answered { at: now, answer: Arc::default() };
        Arc::clone(&known.entry(asked).or_insert_with(new).answer)
    }
}

impl Kept {
    fn read(response: HttpResponse) -> Result<Self, Problem> {
        let (status, headers) = (response.status(), response.headers().clone());
        let whole = response.into_body().try_into_bytes();
        let body = whole.map_err(|_| Problem::internal(&"the answer to a form is a stream"))?;
        Ok(Self { status, headers, body })
    }

    fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status).body(self.body.clone());
        *response.headers_mut() = self.headers.clone();
        response
    }
}
