//! A request's body, read while it comes in: bounded in bytes before and after decompression, in time, and together
//! with all others in memory.

use std::ops::Deref;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::{HttpRequest, error::PayloadError, web};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::auth::state_of;
use super::{AppState, Problem};
use crate::sentry::body::{Body, BodyError, BodyLimits, Encoding};
use crate::sentry::envelope::HEADER_BYTES_MAX;
use crate::store::Held;

/// The pieces as the network brings them.
type Pieces<'p> = &'p mut (dyn Stream<Item = Result<web::Bytes, PayloadError>> + Unpin);

/// How long is waited for what does not come.
#[derive(Clone, Copy, Debug)]
struct Patience {
    piece: Duration,
    whole: Duration,
}

/// A phone in a tunnel pauses for some seconds; who says nothing for longer holds a connection for nothing.
const PATIENCE: Patience = Patience { piece: Duration::from_secs(30), whole: Duration::from_mins(2) };
/// A form or a small JSON body is sent at once.
const LITTLE_PATIENCE: Patience = Patience { piece: Duration::from_secs(30), whole: Duration::from_secs(30) };

/// So much of each body is free, and bodies leave half of the budget to the lanes: a few large ones that come slowly
/// keep other large ones out, but not the many small events.
const FREE_BYTES: usize = 16 * 1024;

/// A body that is being read. The memory it takes, beyond `FREE_BYTES`, is held of the store's budget.
pub struct Reading<'p> {
    pieces: Pieces<'p>,
    body: Body,
    held: Held,
    piece: Duration,
    ends_at: Instant,
}

/// A body that was read; what it holds of the budget is given back with its bytes.
#[derive(Debug)]
pub struct Whole {
    bytes: Vec<u8>,
    _held: Held,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// Answer 408.
    #[error("The body did not come in time. Send it again.")]
    Late,
    /// Answer 400.
    #[error("The body broke off: {0}")]
    BrokenOff(String),
    /// Answer with its status.
    #[error(transparent)]
    Refused(#[from] BodyError),
    /// Answer 503: all bodies together, and what waits for the writer, hold as much memory as they may.
    #[error("too many bodies are being read")]
    Crowded,
}

/// Reads what people and the JSON API's callers send: a form, a small JSON body.
///
/// # Errors
/// Where it does not come in time, is larger than `bytes_max` or broken, or where memory is short.
pub async fn read_small(
    request: &HttpRequest,
    mut payload: Payload,
    bytes_max: usize,
) -> Result<Whole, Problem> {
    let state = state_of(request)?;
    let limits = BodyLimits { compressed_bytes: bytes_max, decompressed_bytes: bytes_max };
    let reading = Reading::patient(request, &state, &mut payload, limits, LITTLE_PATIENCE)?;
    Ok(reading.whole().await?)
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<'p> Reading<'p> {
    pub fn new(
        request: &HttpRequest,
        state: &AppState,
        pieces: Pieces<'p>,
        limits: BodyLimits,
    ) -> Result<Self, Unread> {
        Self::patient(request, state, pieces, limits, PATIENCE)
    }

    /// The body as it comes, whatever its encoding is: of what was signed no byte may differ.
    pub fn raw(
        request: &HttpRequest,
        state: &AppState,
        pieces: Pieces<'p>,
        bytes_max: usize,
    ) -> Result<Self, Unread> {
        let limits = BodyLimits { compressed_bytes: bytes_max, decompressed_bytes: bytes_max };
        let held = hold(request, state, limits)?;
        Self::with("", pieces, limits, PATIENCE, held)
    }

    fn patient(
        request: &HttpRequest,
        state: &AppState,
        pieces: Pieces<'p>,
        limits: BodyLimits,
        patience: Patience,
    ) -> Result<Self, Unread> {
        let held = hold(request, state, limits)?;
        let encoding =
            request.headers().get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
        Self::with(encoding, pieces, limits, patience, held)
    }

    fn with(
        encoding: &str,
        pieces: Pieces<'p>,
        limits: BodyLimits,
        patience: Patience,
        held: Held,
    ) -> Result<Self, Unread> {
        let body = Body::new(Encoding::parse(encoding)?, limits)?;
        Ok(Self { pieces, body, held, piece: patience.piece, ends_at: Instant::now() + patience.whole })
    }

    /// Reads on until the first line is there; an envelope names its key in it.
    pub async fn first_line(&mut self) -> Result<&[u8], Unread> {
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
    pub async fn whole(mut self) -> Result<Whole, Unread> {
        while self.more().await? {}
        Ok(Whole { bytes: self.body.finish()?, _held: self.held })
    }

    /// Takes one piece; `false` where there are no more.
    async fn more(&mut self) -> Result<bool, Unread> {
        let by = self.ends_at.min(Instant::now() + self.piece);
        let next = timeout_at(by, self.pieces.next()).await.map_err(|_| Unread::Late)?;
        let Some(piece) = next else { return Ok(false) };
        self.body.push(&piece.map_err(|error| Unread::BrokenOff(error.to_string()))?)?;
        // Only what came counts, not what was announced: a word costs nothing and must not keep others out.
        let charged = self.body.held_bytes().saturating_sub(FREE_BYTES);
        if self.held.grow_to(charged) { Ok(true) } else { Err(Unread::Crowded) }
    }
}

/// Room for a body, unless its head says that it is too large.
fn hold(request: &HttpRequest, state: &AppState, limits: BodyLimits) -> Result<Held, Unread> {
    let stated = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if stated.is_some_and(|bytes: u64| bytes > limits.compressed_bytes as u64) {
        return Err(BodyError::CompressedTooLarge(limits.compressed_bytes).into());
    }
    state.store.memory().half().take(0).ok_or(Unread::Crowded)
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use futures_util::stream;

    use super::*;
    use crate::store::Budget;

    const LIMITS: BodyLimits = BodyLimits { compressed_bytes: 100, decompressed_bytes: 100 };
    const SHORT: Patience = Patience { piece: Duration::ZERO, whole: Duration::from_hours(1) };

    fn pieces(texts: &[&'static str]) -> impl Stream<Item = Result<web::Bytes, PayloadError>> + Unpin {
        let pieces: Vec<_> = texts.iter().map(|text| Ok(web::Bytes::from_static(text.as_bytes()))).collect();
        stream::iter(pieces)
    }

    fn reading<'p>(encoding: &str, pieces: Pieces<'p>, patience: Patience) -> Result<Reading<'p>, Unread> {
        Reading::with(encoding, pieces, LIMITS, patience, Budget::new(1000).take(0).unwrap())
    }

    fn status(unread: Unread) -> StatusCode {
        Problem::from(unread).status
    }

    #[tokio::test]
    async fn the_first_line_is_known_before_the_rest_is_read() {
        let mut rest = pieces(&["{\"dsn\":", "\"x\"}\n{", "}\n"]);
        let mut reading = reading("", &mut rest, PATIENCE).unwrap();
        assert_eq!(reading.first_line().await.unwrap(), b"{\"dsn\":\"x\"}\n{");
        assert_eq!(&*reading.whole().await.unwrap(), b"{\"dsn\":\"x\"}\n{}\n");
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_is_given_up() {
        for patience in [SHORT, Patience { piece: Duration::from_hours(1), whole: Duration::ZERO }] {
            let mut stuck = pieces(&["{}"]).chain(stream::pending());
            let unread = reading("", &mut stuck, patience).unwrap().whole().await.unwrap_err();
            assert_eq!(status(unread), StatusCode::REQUEST_TIMEOUT);
        }
    }

    #[tokio::test]
    async fn bodies_hold_memory_together_and_give_it_back() {
        const LARGE: usize = 40_000;
        let budget = Budget::new(2 * LARGE);
        let limits = BodyLimits { compressed_bytes: LARGE, decompressed_bytes: LARGE };
        let with = |pieces| Reading::with("", pieces, limits, PATIENCE, budget.take(0).unwrap()).unwrap();
        let large = || [Ok(web::Bytes::from(vec![b'\n'; LARGE]))];
        let (mut slow, mut late) = (stream::iter(large()), stream::iter(large()));
        let mut small = stream::iter([Ok(web::Bytes::from(vec![b'\n'; FREE_BYTES]))]);
        let mut first = with(&mut slow);
        first.first_line().await.unwrap();
        let held = budget.held();
        assert!((LARGE - FREE_BYTES..2 * LARGE).contains(&held), "{held}");
        let others = budget.take(2 * LARGE - held).unwrap();
        let crowded = Problem::from(with(&mut late).whole().await.unwrap_err());
        assert_eq!(crowded.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(crowded.headers.iter().any(|(name, _)| name == "retry-after"));
        assert_eq!(with(&mut small).whole().await.unwrap().len(), FREE_BYTES, "a small one needs no room");
        drop(others);
        assert_eq!(budget.held(), held, "what is refused holds nothing");
        let whole = first.whole().await.unwrap();
        assert_eq!((whole.len(), budget.held()), (LARGE, held));
        drop(whole);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn what_is_too_large_or_broken_is_refused_with_its_status() {
        for (encoding, body, expected) in [
            ("", "x".repeat(101), 413),
            ("gzip", "no gzip".to_owned(), 400),
            ("gzip, gzip", String::new(), 415),
        ] {
            let mut one = stream::iter([Ok(web::Bytes::from(body))]);
            let unread = match reading(encoding, &mut one, PATIENCE) {
                Ok(reading) => reading.whole().await.unwrap_err(),
                Err(unread) => unread,
            };
            assert_eq!(status(unread).as_u16(), expected, "{encoding}");
        }
        let mut broken = stream::iter([Err(PayloadError::Incomplete(None))]);
        let unread = reading("", &mut broken, PATIENCE).unwrap().whole().await.unwrap_err();
        assert_eq!(status(unread), StatusCode::BAD_REQUEST);
    }
}
