//! What changed, told to open pages as it happens: names only, pages ask for the rest themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::future::select_all;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use crate::store::Topic;

/// Ends open streams when the server stops: they would hold it up until its deadline.
#[derive(Clone, Debug)]
pub struct Stopping(pub CancellationToken);

/// What pages may wait for, as the modules that own the rows name it.
const TOPICS: [&str; 18] = [
    "deliveries",
    "deploys",
    "heartbeat_pings",
    "heartbeat_states",
    "heartbeats",
    "incidents",
    "issues",
    "maintenance",
    "metrics",
    "probe_states",
    "probes",
    "services",
    "status_page",
    "tasks",
    "vigil",
    "webhook_deliveries",
    "webhook_replays",
    "webhooks",
];
/// Tabs that are looked at, of a team of ten, several times over. Each holds a connection.
const STREAMS_MAX: usize = 500;
/// Under the minute after which proxies drop what is silent.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// A storm changes a hundred times a second; a person reads once.
const PAUSE: Duration = Duration::from_secs(1);
/// The browser opens the next stream by itself; whether its session is still good is asked again then.
const STREAM_LIFETIME: Duration = Duration::from_mins(10);

static STREAMS: AtomicUsize = AtomicUsize::new(0);

#[derive(Deserialize)]
pub struct LiveQuery {
    #[serde(default)]
    topics: String,
}

/// One open stream; counts itself.
struct Stream {
    topics: Vec<(&'static str, watch::Receiver<u64>)>,
    ends_at: Instant,
    stopping: CancellationToken,
    has_begun: bool,
    pause: Duration,
    silence: Duration,
}

/// `GET /live?topics=issues,incidents`: server-sent events, one named after each topic that changed.
pub async fn live(
    state: web::Data<AppState>,
    stopping: web::Data<Stopping>,
    _: SignedIn,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, Problem> {
    let asked: Vec<&str> = query.topics.split(',').collect();
    let topics = TOPICS.into_iter().filter(|topic| asked.contains(topic));
    let topics: Vec<_> = topics.map(|topic| (topic, state.store.changes(Topic(topic)))).collect();
    if topics.is_empty() {
        return Err(Problem::bad_request(format!("`topics` names some of: {}.", TOPICS.join(", "))));
    }
    let stream = Stream::open(topics, stopping.0.clone()).ok_or_else(|| {
        Problem::new(actix_web::http::StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open.")
            .retry_after(30)
    })?;
    let messages = unfold(stream, |mut stream| async move {
        let message = stream.next().await?;
        Some((Ok::<_, actix_web::Error>(message), stream))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(messages))
}

impl Stream {
    fn open(topics: Vec<(&'static str, watch::Receiver<u64>)>, stopping: CancellationToken) -> Option<Self> {
        if STREAMS.fetch_add(1, Ordering::AcqRel) >= STREAMS_MAX {
            STREAMS.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let ends_at = Instant::now() + STREAM_LIFETIME;
        Some(Self { topics, ends_at, stopping, has_begun: false, pause: PAUSE, silence: SILENCE_MAX })
    }

    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(Bytes::from_static(b"retry: 3000\n\n"));
        }
        if self.stopping.is_cancelled() || Instant::now() >= self.ends_at {
            return None;
        }
        let stopping = self.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => None,
            named = self.changed() => {
                Some(named.map_or(Bytes::from_static(b": still here\n\n"), Bytes::from))
            }
        }
    }

    /// Waits for a change, lets more of them gather, and names them all; `None` where all was silent. Only the wait
    /// for the first one may time out: what woke counts as seen, and has to be named.
    async fn changed(&mut self) -> Option<String> {
        let waits = self.topics.iter_mut().map(|(_, receiver)| Box::pin(receiver.changed()));
        let (result, at, _) = tokio::time::timeout(self.silence, select_all(waits)).await.ok()?;
        if result.is_err() {
            // The store is gone: nothing changes any more.
            return std::future::pending().await;
        }
        let woken = self.topics[at].0;
        tokio::time::sleep(self.pause).await;
        let mut text = String::new();
        for (topic, receiver) in &mut self.topics {
            if *topic == woken || receiver.has_changed().unwrap_or(false) {
                receiver.mark_unchanged();
                text.push_str("event: ");
                text.push_str(topic);
                text.push_str("\ndata: 1\n\n");
            }
        }
        Some(text)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Bytes>) -> String {
        String::from_utf8(bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()).unwrap()
    }

    #[tokio::test]
    async fn a_stream_names_what_changed_once_and_ends_with_the_server() {
        let (issues, incidents) = (watch::Sender::new(0), watch::Sender::new(0));
        let topics = vec![("issues", issues.subscribe()), ("incidents", incidents.subscribe())];
        let stopping = CancellationToken::new();
        let mut stream = Stream::open(topics, stopping.clone()).unwrap();
        stream.pause = Duration::ZERO;
        stream.silence = Duration::from_millis(50);
        assert_eq!(text(stream.next().await), "retry: 3000\n\n");
        issues.send_modify(|count| *count += 1);
        issues.send_modify(|count| *count += 1);
        assert_eq!(text(stream.next().await), "event: issues\ndata: 1\n\n");
        assert_eq!(text(stream.next().await), ": still here\n\n");
        incidents.send_modify(|count| *count += 1);
        issues.send_modify(|count| *count += 1);
        assert_eq!(text(stream.next().await), "event: issues\ndata: 1\n\nevent: incidents\ndata: 1\n\n");
        stopping.cancel();
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_change_at_the_end_of_a_silence_is_named() {
        let issues = watch::Sender::new(0);
        let topics = vec![("issues", issues.subscribe())];
        let mut stream = Stream::open(topics, CancellationToken::new()).unwrap();
        stream.has_begun = true;
        // The change comes before the silence ends, and the pause after it is over later.
        (stream.silence, stream.pause) = (Duration::from_millis(200), Duration::from_millis(400));
        issues.send_modify(|count| *count += 1);
        assert_eq!(text(stream.next().await), "event: issues\ndata: 1\n\n");
    }
}
