//! The pings around a command.

use std::time::Duration;

use crate::base::{Clock, Entropy, Uid};
use crate::heartbeats::Slug;
use crate::outbound::header::HeaderMap;
use crate::outbound::{Client, Method, Options, Reach, Request, Response, Url};

use super::tail::TAIL_BYTES_MAX;

/// Where the pings of a heartbeat go: its address, without what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    url: Url,
    create: bool,
}

/// Tells one run of a job.
pub(super) struct Pinger {
    http: Client,
    clock: Clock,
    place: Place,
    rid: Uid,
    /// How much of a body is kept there.
    body_bytes_max: usize,
}

const DEFAULT_BASE: &str = "http://127.0.0.1:8787";
/// Short: a job that is done should be done.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Pauses before the second and the third try at telling the end: a restart takes a second or two.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

impl Place {
    /// The address of `heartbeat`: a whole one, or one below `base` by its last part, or by its slug and the ping key.
    ///
    /// # Errors
    /// What is missing or wrong, with what helps.
    pub(super) fn find(
        heartbeat: &str,
        base: Option<&str>,
        key: Option<&str>,
        create: bool,
    ) -> Result<Self, String> {
        let base = base.unwrap_or(DEFAULT_BASE).trim_end_matches('/');
        let address = if heartbeat.starts_with("http://") || heartbeat.starts_with("https://") {
            heartbeat.trim_end_matches('/').to_owned()
        } else if let Ok(uid) = heartbeat.parse::<Uid>() {
            format!("{base}/ping/{uid}")
        } else {
            let slug: Slug =
                heartbeat.parse().map_err(|bad| format!("“{heartbeat}” is no heartbeat: {bad}"))?;
            let key = key.ok_or(
                "a slug needs the project's ping key: set TOCSIN_PING_KEY, or use --ping-key (the heartbeats page shows it)",
            )?;
            format!("{base}/ping/{key}/{slug}")
        };
        let url = Url::parse(&address).map_err(|error| format!("“{address}” is no address: {error}"))?;
        Ok(Self { url, create })
    }

    fn saying(&self, what: &str, rid: Uid) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{what}", self.url.path().trim_end_matches('/')));
        let create = if self.create { "&create=1" } else { "" };
        url.set_query(Some(&format!("rid={rid}{create}")));
        url
    }
}

impl Pinger {
    /// `authorities` are trusted beside the usual ones, as PEM text.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(super) fn new(
        place: Place,
        authorities: Option<Vec<u8>>,
        entropy: &Entropy,
        clock: Clock,
    ) -> Result<Self, String> {
        let http =
            Client::new(&Options { authorities, idle_max: None }).map_err(|error| error.to_string())?;
        let rid = Uid(uuid::Builder::from_random_bytes(entropy.bytes()).into_uuid());
        Ok(Self { http, clock, place, rid, body_bytes_max: TAIL_BYTES_MAX })
    }

    /// Says that it began; answers what went wrong.
    pub(super) async fn start(&mut self) -> Option<String> {
        match self.send("start", Vec::new()).await {
            Ok(answer) => {
                let limit =
                    answer.headers.get("ping-body-limit").and_then(|value| value.to_str().ok()?.parse().ok());
                self.body_bytes_max = limit.unwrap_or(TAIL_BYTES_MAX);
                judge(&answer).map(|why| format!("the start was not taken: {why}"))
            }
            Err(why) => Some(format!("the start was not told: {why}")),
        }
    }

    /// Says how it ended, a few times where that helps; answers what went wrong.
    pub(super) async fn end(&self, code: u8, tail: &[u8]) -> Option<String> {
        let from = tail.len().saturating_sub(self.body_bytes_max);
        let body = tail.get(from..).unwrap_or_default();
        let mut pauses = PAUSES.into_iter();
        loop {
            let why = match self.send(&code.to_string(), body.to_vec()).await {
                Ok(answer) if answer.status < 500 && answer.status != 429 => {
                    return judge(&answer).map(|why| format!("the end was not taken: {why}"));
                }
                Ok(answer) => format!("it answered {}", answer.status),
                Err(why) => why,
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Some(format!("the end was not told: {why}")),
            }
        }
    }

    async fn send(&self, what: &str, body: Vec<u8>) -> Result<Response, String> {
        let request = Request {
            method: Method::POST,
            url: self.place.saying(what, self.rid),
            headers: HeaderMap::new(),
            body,
            reach: Reach::Private,
            timeout: ANSWER_WITHIN,
        };
        self.http.send(request, self.clock.now()).await.map_err(|error| error.to_string())
    }
}

/// What is wrong with an answer.
fn judge(answer: &Response) -> Option<String> {
    if answer.is_success() {
        return None;
    }
    let text: String = answer.text().chars().take(100).collect();
    Some(match answer.status {
        404 => "there is no such heartbeat, or the ping key is wrong (--create makes one)".to_owned(),
        status => format!("it answered {status} {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0190c2f4-8c1e-7d3a-9b5e-3f2a1c4d5e6f";

    fn place(heartbeat: &str, base: Option<&str>, key: Option<&str>) -> Result<String, String> {
        Place::find(heartbeat, base, key, false).map(|place| place.url.to_string())
    }

    #[test]
    fn a_heartbeat_is_named_in_three_ways() {
        let whole = format!("https://t.example.com/ping/{UID}");
        assert_eq!(place(&whole, None, None), Ok(whole.clone()));
        assert_eq!(place(UID, Some("https://t.example.com/"), None), Ok(whole));
        assert_eq!(place("db", None, Some("key")), Ok("http://127.0.0.1:8787/ping/key/db".to_owned()));
        for (heartbeat, key, says) in
            [("db", None, "TOCSIN_PING_KEY"), ("Db", Some("key"), "a-z"), ("http://", None, "no address")]
        {
            let error = place(heartbeat, None, key).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_said_stands_behind_the_address() {
        let place = Place::find("db", Some("http://h/tocsin/"), Some("k"), true).unwrap();
        let said = place.saying("start", UID.parse().unwrap());
        assert_eq!(said.as_str(), format!("http://h/tocsin/ping/k/db/start?rid={UID}&create=1"));
    }
}
