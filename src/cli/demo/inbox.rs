//! The team's mailbox: what arrived, in memory, and what the demo is about just now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail_parser::{HeaderValue, MessageParser};
use tokio::sync::watch;

use crate::base::{Timestamp, Uid};

/// More than the longest demo sends; a mailbox that is full says so to the sender.
const MAILS_MAX: usize = 1000;

/// A mail as its reader sees it.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) arrived_at: Timestamp,
    pub(super) subject: String,
    /// The plain part.
    pub(super) text: String,
    pub(super) is_urgent: bool,
    /// The incident whose thread it stands in.
    pub(super) incident: Option<Uid>,
    pub(super) link: Option<Link>,
}

/// The one link of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) label: String,
    /// Below the server's address.
    pub(super) path: String,
}

impl Mail {
    pub(super) const fn is_about_an_incident(&self) -> bool {
        self.incident.is_some()
    }

    /// The news that an incident is over.
    pub(super) fn is_recovery(&self) -> bool {
        self.text.starts_with("Recovered after ")
    }

    /// Further signs of the trouble that was told before, `of` among them.
    pub(super) fn also_saw(&self, of: &str) -> bool {
        self.headline().starts_with("Also seen: ") && self.text.contains(of)
    }

    pub(super) fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

impl Link {
    pub(super) fn acknowledges(&self) -> bool {
        self.path.starts_with("/ack/")
    }
}

/// Clones share one mailbox.
#[derive(Clone)]
pub(super) struct Inbox {
    state: Arc<Mutex<State>>,
    /// Moves with every change.
    version: watch::Sender<u64>,
    /// The address under which links in mails begin.
    links_begin: Arc<str>,
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    now: String,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the mailbox holds {MAILS_MAX} mails and takes no more")]
    Full,
    #[error("this is no mail")]
    Unreadable,
}

impl Inbox {
    pub(super) fn new(links_begin: &str) -> Self {
        Self { state: Arc::default(), version: watch::Sender::new(0), links_begin: links_begin.into() }
    }

    /// Takes a mail as it came over the wire.
    pub(super) fn put(&self, bytes: &[u8], arrived_at: Timestamp) -> Result<(), Refused> {
        let mail = read(bytes, arrived_at, &self.links_begin).ok_or(Refused::Unreadable)?;
        let mut state = self.lock();
        if state.mails.len() == MAILS_MAX {
            return Err(Refused::Full);
        }
        state.mails.push(mail);
        drop(state);
        self.version.send_modify(|version| *version += 1);
        Ok(())
    }

    /// What the page says above the mails.
    pub(super) fn say(&self, text: &str) {
        text.clone_into(&mut self.lock().now);
        self.version.send_modify(|version| *version += 1);
    }

    pub(super) fn said(&self) -> String {
        self.lock().now.clone()
    }

    pub(super) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// In the order of their arrival.
    pub(super) fn mails(&self) -> Vec<Mail> {
        self.lock().mails.clone()
    }

    /// The first mail that `wanted` accepts, waiting for it.
    pub(super) async fn wait_for(&self, wanted: impl Fn(&Mail) -> bool) -> Mail {
        let mut changes = self.version.subscribe();
        loop {
            changes.mark_unchanged();
            let found = self.lock().mails.iter().find(|mail| wanted(mail)).cloned();
            if let Some(mail) = found {
                return mail;
            }
            if changes.changed().await.is_err() {
                // Nobody can put anything any more.
                return std::future::pending().await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(bytes: &[u8], arrived_at: Timestamp, links_begin: &str) -> Option<Mail> {
    let parsed = MessageParser::default().parse(bytes)?;
    let text = parsed.body_text(0)?.replace("\r\n", "\n");
    let importance = parsed.header("Importance").and_then(HeaderValue::as_text);
    Some(Mail {
        arrived_at,
        subject: parsed.subject().unwrap_or_default().to_owned(),
        is_urgent: importance.is_some_and(|importance| importance.eq_ignore_ascii_case("high")),
        incident: parsed.in_reply_to().as_text().and_then(incident_of),
        link: text.lines().find_map(|line| link_of(line, links_begin)),
        text,
    })
}

/// `incident-{uid}@{domain}`, the root of an incident's thread.
fn incident_of(thread: &str) -> Option<Uid> {
    let (name, _) = thread.trim_matches(['<', '>']).split_once('@')?;
    name.strip_prefix("incident-")?.parse().ok()
}

/// `Acknowledge: http://host/path`
fn link_of(line: &str, links_begin: &str) -> Option<Link> {
    let (label, url) = line.split_once(": ")?;
    let path = url.trim().strip_prefix(links_begin).filter(|path| path.starts_with('/'))?;
    Some(Link { label: label.to_owned(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_790_000_000);
    const BASE: &str = "http://tocsin.example:1234";

    fn mail(subject: &str) -> String {
        format!(
            "From: tocsin <alarm@tocsin.example>\r\nTo: team@shop.example\r\nSubject: {subject}\r\n\
             In-Reply-To: <incident-01890000-0000-7000-8000-000000000001@tocsin.example>\r\nImportance: high\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             Critical: checkout =E2=80=94 down\r\n\r\nAcknowledge: {BASE}/ack/abc=3D\r\n"
        )
    }

    #[test]
    fn a_mail_is_read_with_its_thread_and_its_link() {
        let inbox = Inbox::new(BASE);
        inbox.put(mail("=?utf-8?q?Zahlung_f=C3=A4llt_aus?=").as_bytes(), NOON).unwrap();
        let mails = inbox.mails();
        let read = &mails[0];
        assert_eq!((read.subject.as_str(), read.is_urgent), ("Zahlung fällt aus", true));
        assert!(read.text.starts_with("Critical: checkout — down\n"), "{}", read.text);
        assert_eq!(read.incident, "01890000-0000-7000-8000-000000000001".parse().ok());
        let expected = Link { label: "Acknowledge".to_owned(), path: "/ack/abc=".to_owned() };
        assert_eq!(read.link, Some(expected));
    }

    #[test]
    fn only_links_to_the_server_count() {
        for line in
            ["see http://tocsin.example:1234/", "A: http://tocsin.example:12345/", "A: http://evil/ack"]
        {
            assert_eq!(link_of(line, BASE), None, "{line}");
        }
    }

    #[test]
    fn a_full_mailbox_refuses_and_what_is_no_mail_as_well() {
        let inbox = Inbox::new(BASE);
        for number in 0..MAILS_MAX {
            inbox.put(mail(&number.to_string()).as_bytes(), NOON).unwrap();
        }
        assert!(matches!(inbox.put(mail("one more").as_bytes(), NOON), Err(Refused::Full)));
        assert!(matches!(inbox.put(b"", NOON), Err(Refused::Unreadable)));
    }

    #[tokio::test]
    async fn who_waits_gets_the_mail_that_is_there_and_the_one_that_comes() {
        let inbox = Inbox::new(BASE);
        inbox.put(mail("first").as_bytes(), NOON).unwrap();
        assert_eq!(inbox.wait_for(|mail| mail.subject == "first").await.arrived_at, NOON);
        let waiting = inbox.wait_for(|mail| mail.subject == "second");
        let (found, put) = tokio::join!(waiting, async { inbox.put(mail("second").as_bytes(), NOON) });
        put.unwrap();
        assert_eq!(found.subject, "second");
    }
}
