//! Whether it is the target that does not answer, or tocsin's own network: strangers are asked who are always there.

use std::time::Duration;

use tokio::net::TcpStream;

/// One canary is enough; two seconds are more than a round trip around the world.
const TIME_MAX: Duration = Duration::from_secs(2);
/// How long an answer holds for whoever asks next.
const FRESH: Duration = Duration::from_secs(2);

/// While none answers they are asked again this often, whether or not anybody wants to know.
const AGAIN: Duration = Duration::from_secs(10);

/// Canaries that never answered for so long are behind a wall, not behind a lost uplink.
const USELESS_AFTER: Duration = Duration::from_mins(5);

/// What is known of the uplink. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    last: Option<(Duration, bool)>,
    is_asking: bool,
    first_asked: Option<Duration>,
    ever_answered: bool,
}

/// Who knows whether the uplink works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Works,
    Gone,
    /// Somebody is asking already.
    Soon,
    /// The canaries are to be asked.
    Ask,
}

impl Uplink {
    pub(super) fn known(&mut self, now: Duration) -> Known {
        match self.last {
            Some((at, works)) if now.saturating_sub(at) <= FRESH => {
                if works {
                    Known::Works
                } else {
                    Known::Gone
                }
            }
            _ if self.is_asking => Known::Soon,
            _ => {
                self.is_asking = true;
                self.first_asked.get_or_insert(now);
                Known::Ask
            }
        }
    }

    /// Takes in whether one of them answered. Answers whether the uplink works, as far as they can tell: canaries that
    /// never did prove nothing.
    pub(super) fn learn(&mut self, now: Duration, answered: bool) -> bool {
        self.ever_answered |= answered;
        let asked_for = self.first_asked.map_or(Duration::ZERO, |first| now.saturating_sub(first));
        let works = answered || (!self.ever_answered && asked_for > USELESS_AFTER);
        self.last = Some((now, works));
        self.is_asking = false;
        works
    }

    /// Whether what they said last is old.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.last.is_none_or(|(at, _)| now.saturating_sub(at) >= AGAIN)
    }

    /// What was known before tocsin slept says nothing about the network that it wakes up in.
    pub(super) const fn forget(&mut self) {
        self.last = None;
    }

    /// Whether they were never asked.
    pub(super) const fn is_new(&self) -> bool {
        self.first_asked.is_none()
    }
}

/// Whether any of the canaries, `host:port`, takes a connection. One that refuses is there, too.
pub(super) async fn ask(canaries: &[String]) -> bool {
    use futures_util::stream::{FuturesUnordered, StreamExt as _};
    let asked = canaries.iter().map(|canary| tokio::time::timeout(TIME_MAX, TcpStream::connect(canary)));
    let mut answers: FuturesUnordered<_> = asked.collect();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return true,
            Ok(Err(_)) | Err(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_for_all_and_its_answer_holds_for_two_seconds() {
        let at = Duration::from_secs;
        let mut uplink = Uplink::default();
        assert_eq!(uplink.known(at(10)), Known::Ask);
        assert_eq!(uplink.known(at(10)), Known::Soon);
        uplink.learn(at(11), false);
        assert_eq!(uplink.known(at(13)), Known::Gone);
        assert_eq!(uplink.known(at(14)), Known::Ask);
        uplink.learn(at(14), true);
        assert_eq!(uplink.known(at(15)), Known::Works);
    }

    #[test]
    fn canaries_that_never_answer_are_believed_for_five_minutes() {
        let at = Duration::from_secs;
        let mut uplink = Uplink::default();
        uplink.known(at(10));
        assert!(!uplink.learn(at(12), false));
        assert!(uplink.learn(at(311), false));
        assert!(uplink.learn(at(320), true));
        assert!(!uplink.learn(at(330), false), "they did answer once");
    }

    #[tokio::test]
    async fn a_canary_that_listens_or_refuses_is_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(ask(std::slice::from_ref(&address)).await);
        drop(listener);
        assert!(ask(&["no such canary".to_owned(), address]).await);
        assert!(!ask(&["no such canary".to_owned()]).await);
    }
}
