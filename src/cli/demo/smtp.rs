//! A mail server that takes mail for anybody and keeps it: enough of RFC 5321 for one honest sender on this machine.
//! Everything is bounded: connections, lines, recipients, sizes, time.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use crate::base::Clock;

/// The server sends one mail at a time per channel.
const CONNECTIONS_MAX: usize = 8;
/// RFC 5321 asks for 512 in commands and 1000 in texts.
const LINE_BYTES_MAX: u64 = 4096;
/// A message of tocsin is a few kilobytes.
const MAIL_BYTES_MAX: usize = 256 * 1024;
const RECIPIENTS_MAX: usize = 20;
const CONVERSATION_MAX: Duration = Duration::from_secs(30);
/// When the system has no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far the envelope of a mail got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Envelope {
    has_sender: bool,
    recipients: usize,
}

/// What a command leads to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Say(&'static str),
    /// The mail itself follows.
    Take,
    Leave,
}

/// Why a mail was not read to its end.
enum NotTaken {
    TooLarge,
    Io(std::io::Error),
}

impl From<std::io::Error> for NotTaken {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes mail into `inbox` until `stop`.
pub(super) async fn receive(listener: TcpListener, inbox: Inbox, clock: Clock, stop: CancellationToken) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = conversations.join_next() => {}
            accepted = listener.accept(), if conversations.len() < CONNECTIONS_MAX => {
                let Ok((socket, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let (inbox, clock) = (inbox.clone(), clock.clone());
                conversations.spawn(async move {
                    // Whether it ended well or badly is the sender's to judge: it tries again.
                    drop(tokio::time::timeout(CONVERSATION_MAX, converse(socket, &inbox, &clock)).await);
                });
            }
        }
    }
}

async fn converse(mut socket: TcpStream, inbox: &Inbox, clock: &Clock) -> std::io::Result<()> {
    let (reading, mut writing) = socket.split();
    let mut reader = BufReader::new(reading);
    let mut envelope = Envelope::default();
    writing.write_all(b"220 mailbox of the tocsin demo\r\n").await?;
    while let Some(line) = read_line(&mut reader).await? {
        let answer = match step(&mut envelope, &String::from_utf8_lossy(&line)) {
            Step::Say(answer) => answer.to_owned(),
            Step::Take => {
                writing.write_all(b"354 end with a single dot\r\n").await?;
                envelope = Envelope::default();
                match read_mail(&mut reader).await {
                    Ok(bytes) => match inbox.put(&bytes, clock.now()) {
                        Ok(()) => "250 taken".to_owned(),
                        Err(refused) => format!("554 {refused}"),
                    },
                    Err(NotTaken::TooLarge) => {
                        return writing.write_all(b"552 this mail is too large\r\n").await;
                    }
                    Err(NotTaken::Io(error)) => return Err(error),
                }
            }
            Step::Leave => return writing.write_all(b"221 good bye\r\n").await,
        };
        writing.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// What a command means; RFC 5321 §4.1.
fn step(envelope: &mut Envelope, line: &str) -> Step {
    let line = line.trim_end();
    let verb = line.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
    match verb.as_str() {
        "EHLO" | "HELO" => {
            *envelope = Envelope::default();
            Step::Say("250 mailbox")
        }
        "MAIL" if envelope.has_sender => Step::Say("503 one mail after the other"),
        "MAIL" => {
            envelope.has_sender = true;
            Step::Say("250 ok")
        }
        "RCPT" if !envelope.has_sender => Step::Say("503 MAIL comes first"),
        "RCPT" if envelope.recipients == RECIPIENTS_MAX => Step::Say("452 too many recipients"),
        "RCPT" => {
            envelope.recipients += 1;
            Step::Say("250 ok")
        }
        "DATA" if envelope.recipients == 0 => Step::Say("503 RCPT comes first"),
        "DATA" => Step::Take,
        "RSET" => {
            *envelope = Envelope::default();
            Step::Say("250 ok")
        }
        "NOOP" => Step::Say("250 ok"),
        "QUIT" => Step::Leave,
        _ => Step::Say("502 not known here"),
    }
}

type Reader<'a> = BufReader<tokio::net::tcp::ReadHalf<'a>>;

/// The next line with its end; `None` at the end of the connection, or where a line is too long to be one.
async fn read_line(reader: &mut Reader<'_>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    Ok(line.ends_with(b"\n").then_some(line))
}

/// Up to the line with a single dot; a dot that was doubled on the way stands alone again.
async fn read_mail(reader: &mut Reader<'_>) -> Result<Vec<u8>, NotTaken> {
    let mut mail = Vec::new();
    loop {
        let Some(line) = read_line(reader).await? else {
            return Err(NotTaken::Io(std::io::ErrorKind::UnexpectedEof.into()));
        };
        if line == b".\r\n" || line == b".\n" {
            return Ok(mail);
        }
        if mail.len() + line.len() > MAIL_BYTES_MAX {
            return Err(NotTaken::TooLarge);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

    use super::*;
    use crate::base::Timestamp;

    async fn start() -> (SocketAddr, Inbox, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, inbox) = (listener.local_addr().unwrap(), Inbox::new("http://tocsin.example"));
        let clock = Clock::manual(Timestamp::from_secs(1_790_000_000));
        let mut task = JoinSet::new();
        task.spawn(receive(listener, inbox.clone(), clock, CancellationToken::new()));
        (address, inbox, task)
    }

    async fn answers(address: SocketAddr, lines: &[&str]) -> Vec<String> {
        let mut socket = BufReader::new(TcpStream::connect(address).await.unwrap());
        let mut answers = Vec::new();
        for line in std::iter::once(&"").chain(lines) {
            if !line.is_empty() {
                socket.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            }
            let mut answer = String::new();
            socket.read_line(&mut answer).await.unwrap();
            answers.push(answer.chars().take(3).collect());
        }
        answers
    }

    #[tokio::test]
    async fn the_products_own_mail_library_can_deliver_here() {
        let (address, inbox, _task) = start().await;
        let text = "first\n.hidden dot\n..two dots\n";
        let message = Message::builder()
            .from("alarm@tocsin.example".parse().unwrap())
            .to("team@shop.example".parse().unwrap())
            .subject("grüße")
            .body(text.to_owned())
            .unwrap();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1");
        transport.port(address.port()).build().send(message).await.unwrap();
        let mail = inbox.wait_for(|_| true).await;
        // The sender adds an end of line of its own.
        assert_eq!((mail.subject.as_str(), mail.text.trim_end()), ("grüße", text.trim_end()));
    }

    #[tokio::test]
    async fn commands_out_of_order_are_refused_and_nothing_is_kept() {
        let (address, inbox, _task) = start().await;
        let said = answers(
            address,
            &[
                "DATA",
                "RCPT TO:<a@b>",
                "MAIL FROM:<a@b>",
                "MAIL FROM:<a@b>",
                "DATA",
                "VRFY a",
                "RSET",
                "QUIT",
            ],
        );
        assert_eq!(said.await, ["220", "503", "503", "250", "503", "503", "502", "250", "221"]);
        assert!(inbox.mails().is_empty());
    }

    #[tokio::test]
    async fn what_is_too_large_ends_the_conversation() {
        let (address, inbox, _task) = start().await;
        let begin = ["MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA"];
        let line = "x".repeat(4000);
        let mail = vec![line; MAIL_BYTES_MAX / 4000 + 1].join("\r\n");
        let said = answers(address, &[begin.as_slice(), &[mail.as_str()]].concat()).await;
        assert_eq!(said, ["220", "250", "250", "354", "552"]);
        let endless = "x".repeat(usize::try_from(LINE_BYTES_MAX).unwrap() + 1);
        assert_eq!(answers(address, &[&endless]).await, ["220", ""]);
        assert!(inbox.mails().is_empty());
    }

    #[test]
    fn recipients_are_bounded() {
        let mut envelope = Envelope { has_sender: true, recipients: RECIPIENTS_MAX };
        assert!(matches!(step(&mut envelope, "RCPT TO:<a@b>"), Step::Say(said) if said.starts_with("452")));
    }
}
