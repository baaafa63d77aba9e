//! A request's body, read while it comes in: bounded in bytes before and after decompression, and in time.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::{HttpRequest, error::PayloadError, web};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::super::AppState;
use super::admit::Refusal;
use crate::ledger::Reason;
use crate::sentry::body::{Body, BodyError, BodyLimits, Encoding};
use crate::sentry::envelope::HEADER_BYTES_MAX;

/// The pieces as the network brings them.
type Pieces<'p> = &'p mut (dyn Stream<Item = Result<web::Bytes, PayloadError>> + Unpin);

/// How long is waited for what does not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) piece: Duration,
    pub(super) whole: Duration,
}

/// A phone in a tunnel pauses for some seconds; who says nothing for longer holds a connection for nothing.
const PATIENCE: Patience = Patience { piece: Duration::from_secs(30), whole: Duration::from_mins(2) };

/// A body that is being read.
pub struct Reading<'p> {
    pieces: Pieces<'p>,
    body: Body,
    piece: Duration,
    ends_at: Instant,
}

/// What one request of an SDK may bring.
pub fn envelope_limits(state: &AppState) -> BodyLimits {
    let limits = &state.config.ingest;
    BodyLimits { compressed_bytes: limits.body_bytes_max, decompressed_bytes: limits.decompressed_bytes_max }
}

/// What one request to the plain endpoints may bring: its JSON becomes a tree, which takes many times its bytes.
pub fn api_limits(state: &AppState) -> BodyLimits {
    let bytes = state.config.limits.api_body_bytes_max;
    BodyLimits { compressed_bytes: bytes, decompressed_bytes: bytes }
}

impl<'p> Reading<'p> {
    pub fn new(request: &HttpRequest, pieces: Pieces<'p>, limits: BodyLimits) -> Result<Self, Refusal> {
        let stated =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if stated.is_some_and(|bytes: u64| bytes > limits.compressed_bytes as u64) {
            return Err(refuse(&BodyError::CompressedTooLarge(limits.compressed_bytes)));
        }
        let encoding =
            request.headers().get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
        Self::with(encoding, pieces, limits, PATIENCE)
    }

    fn with(
        encoding: &str,
        pieces: Pieces<'p>,
        limits: BodyLimits,
        patience: Patience,
    ) -> Result<Self, Refusal> {
        let encoding = Encoding::parse(encoding).map_err(|error| refuse(&error))?;
        let body = Body::new(encoding, limits).map_err(|error| refuse(&error))?;
        Ok(Self { pieces, body, piece: patience.piece, ends_at: Instant::now() + patience.whole })
    }

    /// Reads on until the first line is there; an envelope names its key in it.
    pub async fn first_line(&mut self) -> Result<&[u8], Refusal> {
        // Each byte is looked at once, however small the pieces are.
        let mut seen = 0;
        loop {
            let decoded = self.body.decoded();
            if decoded.len() > HEADER_BYTES_MAX || decoded.get(seen..).is_some_and(|new| new.contains(&b'\n'))
            {
                break;
            }
            seen = decoded.len();
            if !self.more().await? {
                break;
            }
        }
        Ok(self.body.decoded())
    }

    /// Reads the rest.
    pub async fn whole(mut self) -> Result<Vec<u8>, Refusal> {
        while self.more().await? {}
        self.body.finish().map_err(|error| refuse(&error))
    }

    /// Takes one piece; `false` where there are no more.
    async fn more(&mut self) -> Result<bool, Refusal> {
        let by = self.ends_at.min(Instant::now() + self.piece);
        let Ok(next) = timeout_at(by, self.pieces.next()).await else {
            let detail = "The body did not come in time. Send it again.";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, detail, Reason::Invalid));
        };
        let Some(piece) = next else { return Ok(false) };
        let piece = piece.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("The body broke off: {error}"), Reason::Invalid)
        })?;
        self.body.push(&piece).map_err(|error| refuse(&error))?;
        Ok(true)
    }
}

fn refuse(error: &BodyError) -> Refusal {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let reason = if status == StatusCode::PAYLOAD_TOO_LARGE { Reason::TooLarge } else { Reason::Invalid };
    Refusal::new(status, error.to_string(), reason)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { compressed_bytes: 100, decompressed_bytes: 100 };
    const SHORT: Patience = Patience { piece: Duration::ZERO, whole: Duration::from_hours(1) };

    fn pieces(texts: &[&'static str]) -> impl Stream<Item = Result<web::Bytes, PayloadError>> + Unpin {
        let pieces: Vec<_> = texts.iter().map(|text| Ok(web::Bytes::from_static(text.as_bytes()))).collect();
        stream::iter(pieces)
    }

    #[tokio::test]
    async fn the_first_line_is_known_before_the_rest_is_read() {
        let mut rest = pieces(&["{\"dsn\":", "\"x\"}\n{", "}\n"]);
        let mut reading = Reading::with("", &mut rest, LIMITS, PATIENCE).unwrap();
        assert_eq!(reading.first_line().await.unwrap(), b"{\"dsn\":\"x\"}\n{");
        assert_eq!(reading.whole().await.unwrap(), b"{\"dsn\":\"x\"}\n{}\n");
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_is_given_up() {
        for patience in [SHORT, Patience { piece: Duration::from_hours(1), whole: Duration::ZERO }] {
            let mut stuck = pieces(&["{}"]).chain(stream::pending());
            let reading = Reading::with("", &mut stuck, LIMITS, patience).unwrap();
            let refusal = reading.whole().await.unwrap_err();
            assert_eq!(refusal.problem.status, StatusCode::REQUEST_TIMEOUT);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_broken_is_refused_with_its_status() {
        for (encoding, body, status) in [
            ("", "x".repeat(101), 413),
            ("gzip", "no gzip".to_owned(), 400),
            ("gzip, gzip", String::new(), 415),
        ] {
            let mut one = stream::iter([Ok(web::Bytes::from(body))]);
            let refusal = match Reading::with(encoding, &mut one, LIMITS, PATIENCE) {
                Ok(reading) => reading.whole().await.unwrap_err(),
                Err(refusal) => refusal,
            };
            assert_eq!(refusal.problem.status.as_u16(), status, "{encoding}");
        }
        let mut broken = stream::iter([Err(PayloadError::Incomplete(None))]);
        let reading = Reading::with("", &mut broken, LIMITS, PATIENCE).unwrap();
        assert_eq!(reading.whole().await.unwrap_err().problem.status, StatusCode::BAD_REQUEST);
    }
}
