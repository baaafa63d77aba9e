//! Mail servers: banner, greeting, encryption, sign-in. No mail is sent.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dial::{self, Distrusted};
use super::lines::Lines;
use super::question::{Looking, With};
use super::wire::{Encryption, Wire};
use crate::outbound::{AddressClass, classify};
use crate::probes::condition::{Tree, Value};
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::{Smtp, SmtpTls};

/// Everything that is read; a conversation up to the sign-in takes some hundred bytes.
const BYTES_MAX: usize = 64 * 1024;
/// Four times what RFC 5321 §4.5.3.1.5 allows.
const LINE_BYTES_MAX: usize = 2048;
/// Lines of one reply; a greeting lists about a dozen extensions.
const REPLY_LINES_MAX: usize = 100;
/// How long the farewell may take: some servers note a connection that just breaks.
const FAREWELL: Duration = Duration::from_secs(1);
/// Of a reply that is repeated in an alarm.
const REASON_CHARS_MAX: usize = 200;

pub(super) async fn ask(target: &Smtp, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let mut session = Session::open(target, with, looking).await?;
    if target.tls == SmtpTls::Starttls {
        session = session.start_tls(target, with, looking).await?;
    }
    looking.facts.set("encrypted", Value::Flag(session.is_encrypted));
    let offered = session.extensions.iter().map(|line| line.as_str().into()).collect();
    looking.facts.set_tree("extensions", Tree::of_json(serde_json::Value::Array(offered)));
    looking.sample.body = session.extensions.join("\n");
    looking.facts.set("signed_in", Value::Flag(false));
    if let (Some(username), Some(password)) = (&target.username, &target.password) {
        session.sign_in(username, password, looking).await?;
        looking.facts.set("signed_in", Value::Flag(true));
    }
    looking.knows_all(with);
    session.quit(looking).await;
    Ok(())
}

struct Session {
    lines: Lines,
    is_encrypted: bool,
    /// This end's address, by which it introduces itself.
    own: IpAddr,
    /// What the server offers, a line each: `SIZE 10240000`.
    extensions: Vec<String>,
}

/// A reply's code, and its lines without it.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Session {
    async fn open(target: &Smtp, with: With<'_>, looking: &mut Looking) -> Result<Self, Failed> {
        let encryption = match target.tls {
            SmtpTls::Tls => Encryption::Tls,
            SmtpTls::Starttls | SmtpTls::None => Encryption::None,
        };
        let wire = Wire::open((&target.host, target.port), encryption, with, looking).await?;
        let is_encrypted = encryption == Encryption::Tls;
        let own = wire.own_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let began = Instant::now();
        let mut session =
            Self { lines: Lines::new(wire, BYTES_MAX), is_encrypted, own, extensions: Vec::new() };
        let banner = session.reply(looking).await?;
        looking.phases.answer = Some(began.elapsed());
        let text = banner.lines.first().cloned().unwrap_or_default();
        looking.sample.head = format!("{} {text}", banner.code);
        looking.facts.set("banner", Value::Text(looking.sample.head.clone()));
        banner.wanted(220, "it takes no mail", looking)?;
        session.greet(looking).await?;
        Ok(session)
    }

    async fn greet(&mut self, looking: &Looking) -> Result<(), Failed> {
        let name = match self.own {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        let reply = self.call(&format!("EHLO {name}"), looking).await?;
        self.extensions = reply.wanted(250, "it does not greet back", looking)?.into_iter().skip(1).collect();
        Ok(())
    }

    async fn start_tls(
        mut self,
        target: &Smtp,
        with: With<'_>,
        looking: &mut Looking,
    ) -> Result<Self, Failed> {
        looking.phase = Phase::Tls;
        if self.offered("STARTTLS").is_none() {
            return Err(looking.failed("the server offers no STARTTLS"));
        }
        self.call("STARTTLS", looking).await?.wanted(220, "it does not begin encryption", looking)?;
        let stream = self.lines.into_plain().ok_or_else(|| {
            looking.failed("something was sent ahead of the encryption: somebody may be in between")
        })?;
        let (stream, _) =
            dial::encrypt(stream, &target.host, with.trust, Distrusted::Refused, looking).await?;
        looking.phase = Phase::Answer;
        let lines = Lines::new(Wire::encrypted(stream, looking.marks.clone()), BYTES_MAX);
        let mut session = Self { lines, is_encrypted: true, own: self.own, extensions: Vec::new() };
        session.greet(looking).await?;
        Ok(session)
    }

    async fn sign_in(&mut self, username: &str, password: &str, looking: &Looking) -> Result<(), Failed> {
        let is_here = looking.sample.address.is_some_and(|at| classify(at) == AddressClass::Loopback);
        if !self.is_encrypted && !is_here {
            return Err(Failed::setup(
                "a password is not sent in the clear: set `tls` to `starttls` or `tls`, or leave the sign-in out",
            ));
        }
        let ways = self.offered("AUTH").unwrap_or_default().to_ascii_uppercase();
        let offers = |way: &str| ways.split_whitespace().any(|offered| offered == way);
        let reply = if offers("PLAIN") {
            let both = STANDARD.encode(format!("\0{username}\0{password}"));
            self.call(&format!("AUTH PLAIN {both}"), looking).await?
        } else if offers("LOGIN") {
            self.call("AUTH LOGIN", looking).await?.wanted(334, "the sign-in was refused", looking)?;
            self.call(&STANDARD.encode(username), looking).await?.wanted(
                334,
                "the user name was refused",
                looking,
            )?;
            self.call(&STANDARD.encode(password), looking).await?
        } else {
            let offered = if ways.is_empty() {
                "no sign-in".to_owned()
            } else {
                format!("only {}", looking.quote(&ways, REASON_CHARS_MAX))
            };
            return Err(looking.failed(format!(
                "the server offers {offered}, and PLAIN or LOGIN is needed to try the password"
            )));
        };
        reply.wanted(235, "the sign-in was refused", looking).map(drop)
    }

    /// Everything is known by now: how it takes the farewell says nothing.
    async fn quit(&mut self, looking: &Looking) {
        tokio::time::timeout(FAREWELL, self.call("QUIT", looking)).await.ok();
    }

    /// What stands behind an extension's name; `None` where it is not offered.
    fn offered(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            word.eq_ignore_ascii_case(name).then_some(rest)
        })
    }

    async fn call(&mut self, line: &str, looking: &Looking) -> Result<Reply, Failed> {
        self.lines.write(format!("{line}\r\n").as_bytes(), looking).await?;
        self.reply(looking).await
    }

    async fn reply(&mut self, looking: &Looking) -> Result<Reply, Failed> {
        let mut lines = Vec::new();
        while lines.len() < REPLY_LINES_MAX {
            let line = self.lines.line(LINE_BYTES_MAX, looking).await?;
            let line = String::from_utf8_lossy(&line);
            let Some((code, is_last, text)) = read_reply_line(&line) else {
                let said = looking.quote(&line, 60);
                return Err(looking.failed(format!("what answers is no mail server: it says “{said}”")));
            };
            lines.push(text.to_owned());
            if is_last {
                return Ok(Reply { code, lines });
            }
        }
        Err(looking.failed("its reply has no end"))
    }
}

impl Reply {
    fn wanted(self, code: u16, otherwise: &str, looking: &Looking) -> Result<Vec<String>, Failed> {
        if self.code == code {
            return Ok(self.lines);
        }
        let said = looking.quote(&self.lines.join(" "), REASON_CHARS_MAX);
        Err(looking.failed(format!("{otherwise}: {} {said}", self.code)))
    }
}

/// The code, whether the reply ends here, and the text.
fn read_reply_line(line: &str) -> Option<(u16, bool, &str)> {
    let code = line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()))?;
    let code: u16 = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match line.as_bytes().get(3) {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_lines_are_read() {
        assert_eq!(read_reply_line("220 mx.example.com ESMTP"), Some((220, true, "mx.example.com ESMTP")));
        assert_eq!(read_reply_line("250-SIZE 1000"), Some((250, false, "SIZE 1000")));
        assert_eq!(read_reply_line("250"), Some((250, true, "")));
        for line in ["", "22", "2x0 a", "220x", "SSH-2.0-OpenSSH", "999 a", "1\u{e9}0 "] {
            assert_eq!(read_reply_line(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn a_password_leaves_this_machine_only_encrypted() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut looking = Looking::new(crate::base::Timestamp::EPOCH, std::sync::Arc::default());
        looking.sample.address = Some(IpAddr::from([192, 0, 2, 1]));
        let mut session = Session {
            lines: Lines::new(Wire::plain(stream, looking.marks.clone()), BYTES_MAX),
            is_encrypted: false,
            own: IpAddr::V4(Ipv4Addr::LOCALHOST),
            extensions: vec!["AUTH PLAIN LOGIN".to_owned()],
        };
        let told = session.sign_in("user", "password", &looking).await.unwrap_err();
        assert_eq!(told.phase, Phase::Setup);
        assert!(told.reason.contains("not sent in the clear"), "{told}");
        drop(session);
        let (mut heard, mut stream) = (Vec::new(), listener.accept().await.unwrap().0);
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard).await.unwrap();
        assert_eq!(heard, b"", "nothing was sent");
    }
}
