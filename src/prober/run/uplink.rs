//! Whether it is the target that does not answer, or tocsin's own network: strangers are asked who are always there.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::outbound::{AddressClass, classify};

/// One canary is enough; two seconds are more than a round trip around the world.
const TIME_MAX: Duration = Duration::from_secs(2);
/// How long their silence holds for whoever fails next. That they answered says nothing of what fails after it.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// However much fails, they are asked no oftener: they are strangers. A probe waits a second at least before it is asked
/// again, so one that fails alone never waits for this.
const PAUSE: Duration = Duration::from_millis(500);

/// While none answers they are asked again this often, whether or not anybody wants to know.
const AGAIN: Duration = Duration::from_secs(10);

/// Canaries that never answered, neither now nor before a restart, for so long while somebody in the public internet did
/// are behind a wall, not behind a lost uplink.
const USELESS_AFTER: Duration = Duration::from_mins(5);
/// While nobody there answered either, the machine may have come up before its network: after a power cut a router takes
/// minutes. One that never has any must be judged all the same.
const ALONE_FOR: Duration = Duration::from_mins(15);

/// What is known of the uplink. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    silent_at: Option<Duration>,
    is_asking: bool,
    first_asked: Option<Duration>,
    last_asked: Option<Duration>,
    answered: Answered,
    internet: Internet,
    /// Something far away answered since they were asked: they may, too.
    is_hoped: bool,
}

/// Whether somebody in the public internet ever answered a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Internet {
    #[default]
    Silent,
    Heard,
}

/// Whether the canaries ever answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answered {
    #[default]
    Never,
    /// Only memory knows.
    Once,
    /// It is on disk, or being written.
    Noted,
}

/// Who knows whether the uplink works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Gone,
    /// Somebody is asking already, or did just before.
    Soon,
    /// The canaries are to be asked.
    Ask,
}

impl Uplink {
    pub(super) fn known(&mut self, now: Duration) -> Known {
        let is_within =
            |since: Option<Duration>, span| since.is_some_and(|at| now.saturating_sub(at) <= span);
        if is_within(self.silent_at, SILENT_FOR) {
            return Known::Gone;
        }
        if self.is_asking || is_within(self.last_asked, PAUSE) {
            return Known::Soon;
        }
        self.is_asking = true;
        self.is_hoped = false;
        self.first_asked.get_or_insert(now);
        self.last_asked = Some(now);
        Known::Ask
    }

    /// Takes in whether one of them answered. Answers whether the uplink works, as far as they can tell: canaries that
    /// never did prove nothing.
    pub(super) fn learn(&mut self, now: Duration, answered: bool) -> bool {
        if answered && self.answered == Answered::Never {
            self.answered = Answered::Once;
        }
        let asked_for = self.first_asked.map_or(Duration::ZERO, |first| now.saturating_sub(first));
        let patience = match self.internet {
            Internet::Heard => USELESS_AFTER,
            Internet::Silent => ALONE_FOR,
        };
        let works = answered || (self.answered == Answered::Never && asked_for > patience);
        self.silent_at = (!works).then_some(now);
        self.is_asking = false;
        works
    }

    /// They are known to have answered, before this start.
    pub(super) const fn trust(&mut self) {
        self.answered = Answered::Noted;
    }

    /// Whether it is to be noted that they answered. Asked again after [`Uplink::was_not_noted`].
    pub(super) fn is_to_note(&mut self) -> bool {
        let is_new = self.answered == Answered::Once;
        if is_new {
            self.answered = Answered::Noted;
        }
        is_new
    }

    pub(super) const fn was_not_noted(&mut self) {
        self.answered = Answered::Once;
    }

    /// A probe was answered from there.
    pub(super) fn answered_by(&mut self, address: Option<IpAddr>) {
        match address.map(classify) {
            // This machine answers itself without any network.
            Some(AddressClass::Loopback) => {}
            Some(AddressClass::Public) => (self.internet, self.is_hoped) = (Internet::Heard, true),
            Some(AddressClass::Private | AddressClass::Never) | None => self.is_hoped = true,
        }
    }

    /// Whether what they said last is old, or doubtful.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.is_hoped || self.last_asked.is_none_or(|at| now.saturating_sub(at) >= AGAIN)
    }

    /// What was known before tocsin slept says nothing about the network that it wakes up in.
    pub(super) const fn forget(&mut self) {
        self.silent_at = None;
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
    fn one_asks_for_all_and_only_silence_holds_for_those_who_fail_later() {
        let at = Duration::from_secs;
        let mut uplink = Uplink::default();
        assert_eq!(uplink.known(at(10)), Known::Ask);
        assert_eq!(uplink.known(at(10)), Known::Soon);
        uplink.learn(at(11), false);
        assert_eq!(uplink.known(at(13)), Known::Gone);
        assert_eq!(uplink.known(at(14)), Known::Ask);
        uplink.learn(at(14), true);
        assert_eq!(uplink.known(at(14)), Known::Soon, "not twice in half a second");
        assert_eq!(uplink.known(at(15)), Known::Ask, "it may be gone since");
    }

    #[test]
    fn canaries_that_never_answer_are_believed_as_long_as_nobody_contradicts_them() {
        let at = Duration::from_secs;
        let mut uplink = Uplink::default();
        uplink.known(at(10));
        assert!(!uplink.learn(at(12), false));
        assert!(!uplink.learn(at(311), false), "the network may still come up");
        for near in ["127.0.0.1", "10.0.0.1"] {
            uplink.answered_by(near.parse().ok());
            assert!(!uplink.learn(at(312), false), "{near}");
        }
        uplink.answered_by("8.8.8.8".parse().ok());
        assert!(uplink.learn(at(313), false), "they are behind a wall");
        assert!(uplink.learn(at(320), true));
        assert!(!uplink.learn(at(330), false), "they did answer once");
        let mut alone = Uplink::default();
        alone.known(at(10));
        assert!(alone.learn(at(911), false), "it has no way out at all");
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
