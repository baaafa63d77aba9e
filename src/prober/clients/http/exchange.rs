//! One request and its answer over one connection.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection};
use hyper_util::rt::TokioIo;

use super::HEAD_BYTES_MAX;
use crate::prober::clients::dial;
use crate::prober::clients::wire::{TooMuch, Wire};
use crate::probes::seen::{Failed, Phase};

/// A connection whose answer has begun. It moves only while somebody waits for the answer, and dies with it.
pub(in crate::prober) struct Conversation {
    line: Line,
    pub(in crate::prober) response: Response<Incoming>,
}

struct Line {
    connection: Connection<TokioIo<Wire>, Full<Bytes>>,
    is_over: bool,
}

impl Conversation {
    /// Sends a request and waits for the head of its answer.
    pub(in crate::prober) async fn begin(
        wire: Wire,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Self, Failed> {
        let failed = |error: hyper::Error| broken(&error, Phase::Answer);
        let opened = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(wire)).await;
        let (mut sender, connection) = opened.map_err(failed)?;
        let mut line = Line { connection, is_over: false };
        let response = line.drive(sender.send_request(request)).await.map_err(failed)?;
        Ok(Self { line, response })
    }

    /// The next piece of the body, as large as it was read; `None`: that was all.
    pub(in crate::prober) async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failed> {
        let Self { line, response } = self;
        loop {
            let Some(frame) = line.drive(response.body_mut().frame()).await else { return Ok(None) };
            // What is no data are trailers, which nobody asks about.
            if let Ok(data) = frame.map_err(|error| broken(&error, Phase::Transfer))?.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

impl Line {
    /// Waits for `asking`, and moves the connection meanwhile.
    async fn drive<T>(&mut self, asking: impl Future<Output = T>) -> T {
        let mut asking = pin!(asking);
        poll_fn(|cx| {
            // Its own failure reaches whoever asks; it must only not be asked again.
            if !self.is_over && Pin::new(&mut self.connection).poll(cx).is_ready() {
                self.is_over = true;
            }
            match asking.as_mut().poll(cx) {
                Poll::Pending if self.is_over => asking.as_mut().poll(cx),
                polled => polled,
            }
        })
        .await
    }
}

/// The words of hyper, which has no other way to ask a client's error for it.
const TOO_LARGE: &str = "message head is too large";

/// What went wrong between two that were connected, in words.
fn broken(error: &hyper::Error, phase: Phase) -> Failed {
    let fault = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let inner = fault.and_then(std::io::Error::get_ref);
    let is_too_much = inner.and_then(|inner| inner.downcast_ref::<TooMuch>()).is_some();
    let is_early_end = error.is_incomplete_message()
        || error.is_body_write_aborted()
        || fault.is_some_and(|fault| fault.kind() == std::io::ErrorKind::UnexpectedEof);
    let reason = if is_too_much || error.to_string() == TOO_LARGE {
        format!(
            "the head of the answer is larger than {} KiB or has more than 100 headers",
            HEAD_BYTES_MAX / 1024
        )
    } else if error.is_parse_version_h2() {
        "the server speaks HTTP/2 where HTTP/1.1 was asked for".to_owned()
    } else if is_early_end && phase == Phase::Answer {
        "the connection was closed without an answer".to_owned()
    } else if is_early_end {
        "the connection was closed in the middle of the answer".to_owned()
    } else if let Some(fault) = fault {
        dial::io_reason(fault)
    } else if error.is_parse() {
        format!("the answer is no HTTP that can be read: {error}")
    } else if error.is_closed() || error.is_canceled() {
        "the connection was closed".to_owned()
    } else {
        error.to_string()
    };
    Failed { phase, reason, may_be_ours: fault.is_some_and(dial::is_uplink_like) }
}
