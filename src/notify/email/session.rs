//! One SMTP conversation, command by command, written down as it goes. The same code sends alarms and tests, so
//! a test proves what an alarm will do.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;

use super::super::channel::{SendError, Transport};
use super::compose::Mail;
use super::cure::{Stage, Trouble, cure, failure, failure_to_one, is_final_to_one};
use super::wire::Wire;
use super::{Email, MailTls};
use crate::base::text::{clip, clip_middle};
use crate::incidents::deliveries::DETAIL_CHARS_MAX;
use crate::incidents::put_off::{Missed, Unreached};
use crate::outbound;

/// For each address of the server; a port that is blocked shows as silence.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses tried. Two are one per IP version.
const ADDRESSES_MAX: usize = 2;
/// For the whole conversation; below the limit of an attempt, so that the dialogue survives.
const CONVERSATION_TIMEOUT: Duration = Duration::from_secs(25);
/// What is kept of the server's words about each recipient; the proof has them whole.
const REASON_CHARS_MAX: usize = 200;
/// Good manners after the mail is taken, not worth waiting for.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The server took the mail, for at least one recipient.
pub(super) struct Taken {
    /// With secrets masked.
    pub(super) dialogue: String,
    /// The recipients that it was not taken for.
    pub(super) unreached: Unreached,
}

/// Hands `mail` over.
pub(super) async fn deliver(email: &Email, transport: &Transport, mail: &Mail) -> Result<Taken, SendError> {
    let mut dialogue = Dialogue { lines: Vec::new(), stage: Stage::Connect, email };
    let talk = converse(email, transport, mail, &mut dialogue);
    let ended = tokio::time::timeout(CONVERSATION_TIMEOUT, talk).await;
    let stage = dialogue.stage;
    match ended.unwrap_or(Err(Trouble::TimedOut { stage })) {
        Ok(unreached) => Ok(Taken { dialogue: dialogue.text(), unreached }),
        Err(trouble) => {
            if !matches!(trouble, Trouble::Reply { .. }) {
                dialogue.note(&trouble.to_string());
            }
            let failure = if mail.is_to_one { failure_to_one(&trouble) } else { failure(&trouble) };
            Err(SendError {
                failure,
                summary: trouble.to_string(),
                detail: dialogue.text(),
                cure: cure(&trouble, email),
            })
        }
    }
}

async fn converse(
    email: &Email,
    transport: &Transport,
    mail: &Mail,
    dialogue: &mut Dialogue<'_>,
) -> Result<Unreached, Trouble> {
    let mut connection = connect(email, transport, dialogue).await?;
    if let Some(credentials) = &email.credentials {
        dialogue.stage = Stage::Auth;
        let mechanism =
            connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).ok_or(Trouble::NoAuthOffered)?;
        dialogue.said(&format!("AUTH {mechanism} ••••"));
        let known = Credentials::new(credentials.username.clone(), credentials.password.expose().to_owned());
        let answer = connection.auth(DEFAULT_MECHANISMS, &known).await;
        dialogue.heard(answer)?;
    }
    sender(&mut connection, mail, dialogue).await?;
    let unreached = recipients(&mut connection, mail, dialogue).await?;
    dialogue.stage = Stage::Data;
    dialogue.said("DATA");
    let answer = connection.command(Data).await;
    dialogue.heard(answer)?;
    dialogue.said(&format!("(the message, {} bytes)", mail.bytes.len()));
    let answer = connection.message(&mail.bytes).await;
    dialogue.heard(answer)?;
    // The mail is taken; what the server says to QUIT changes nothing.
    drop(tokio::time::timeout(QUIT_TIMEOUT, connection.command(Quit)).await);
    Ok(unreached)
}

async fn sender(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    dialogue: &mut Dialogue<'_>,
) -> Result<(), Trouble> {
    dialogue.stage = Stage::Sender;
    let mut parameters = Vec::new();
    let all = mail.envelope.from().into_iter().chain(mail.envelope.to());
    if all.into_iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Trouble::NotAscii);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    dialogue.said(&format!("MAIL FROM:<{}>", mail.envelope.from().map_or("", AsRef::as_ref)));
    let answer = connection.command(MailFrom::new(mail.envelope.from().cloned(), parameters)).await;
    dialogue.heard(answer)
}

/// One recipient that is taken is enough: sending again would tell that one twice. The others are answered with what
/// the server said of each.
async fn recipients(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    dialogue: &mut Dialogue<'_>,
) -> Result<Unreached, Trouble> {
    dialogue.stage = Stage::Recipient;
    let (mut taken, mut unreached, mut decisive) = (0_usize, Unreached::NONE, None);
    for address in mail.envelope.to() {
        dialogue.said(&format!("RCPT TO:<{address}>"));
        let answer = connection.command(Rcpt::new(address.clone(), Vec::new())).await;
        match dialogue.heard(answer) {
            Ok(()) => taken += 1,
            Err(trouble) if trouble.is_of_one_recipient() => {
                let reason = clip(&trouble.to_string(), REASON_CHARS_MAX).into_owned();
                let missed = Missed { recipient: address.to_string(), reason };
                let is_final = is_final_to_one(&trouble);
                let list = if is_final { &mut unreached.refused } else { &mut unreached.put_off };
                list.push(missed);
                // Of several refusals a temporary one decides: then later may succeed.
                decisive = if is_final { decisive.or(Some(trouble)) } else { Some(trouble) };
            }
            Err(trouble) => return Err(trouble),
        }
    }
    match decisive {
        Some(trouble) if taken == 0 => Err(trouble),
        Some(_) | None => Ok(unreached),
    }
}

async fn connect(
    email: &Email,
    transport: &Transport,
    dialogue: &mut Dialogue<'_>,
) -> Result<AsyncSmtpConnection, Trouble> {
    let mut addresses = outbound::addresses(&email.host, email.port, email.reach).await?;
    addresses.truncate(ADDRESSES_MAX);
    let hello = ClientId::default();
    let connection = match email.tls {
        MailTls::Tls => {
            dialogue
                .note(&format!("connecting to {}:{} with TLS from the first byte", email.host, email.port));
            let tls = tls_parameters(email, transport)?;
            let opened = AsyncSmtpConnection::connect_tokio1(
                addresses.as_slice(),
                Some(CONNECT_TIMEOUT),
                &hello,
                Some(tls),
                None,
            );
            let connection = opened.await.map_err(|error| dialogue.trouble(&error))?;
            dialogue.greeted(&connection);
            connection
        }
        MailTls::Starttls | MailTls::None => {
            dialogue.note(&format!("connecting to {}:{}", email.host, email.port));
            let stream = dial(&addresses).await?;
            dialogue.stage = Stage::Greeting;
            let opened =
                AsyncSmtpConnection::connect_with_transport(Box::new(Wire::new(stream)), &hello).await;
            let mut connection = opened.map_err(|error| dialogue.trouble(&error))?;
            dialogue.greeted(&connection);
            if email.tls == MailTls::Starttls {
                start_tls(&mut connection, tls_parameters(email, transport)?, &hello, dialogue).await?;
            }
            connection
        }
    };
    Ok(connection)
}

async fn start_tls(
    connection: &mut AsyncSmtpConnection,
    parameters: TlsParameters,
    hello: &ClientId,
    dialogue: &mut Dialogue<'_>,
) -> Result<(), Trouble> {
    dialogue.stage = Stage::Tls;
    if !connection.can_starttls() {
        return Err(Trouble::NoStartTls);
    }
    dialogue.said("STARTTLS");
    let upgraded = connection.starttls(parameters, hello).await;
    upgraded.map_err(|error| dialogue.trouble(&error))?;
    dialogue.note("TLS is up");
    dialogue.greeted(connection);
    Ok(())
}

async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, Trouble> {
    let mut last = Trouble::ConnectTimedOut;
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Trouble::Connect(error.to_string()),
            Err(_) => last = Trouble::ConnectTimedOut,
        }
    }
    Err(last)
}

fn tls_parameters(email: &Email, transport: &Transport) -> Result<TlsParameters, Trouble> {
    outbound::install_crypto_provider();
    let mut builder =
        TlsParametersBuilder::new(email.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
    if let Some(pem) = &transport.authorities {
        let further = Certificate::from_pem(pem).map_err(|error| Trouble::Tls(error.to_string()))?;
        builder = builder.add_root_certificate(further);
    }
    builder.build().map_err(|error| Trouble::Tls(error.to_string()))
}

/// What was said, for the proof of an attempt.
struct Dialogue<'a> {
    lines: Vec<String>,
    /// How far it came; a timeout is explained by it.
    stage: Stage,
    email: &'a Email,
}

impl Dialogue<'_> {
    fn said(&mut self, text: &str) {
        self.lines.push(format!("tocsin: {}", self.masked(text)));
    }

    fn note(&mut self, text: &str) {
        self.lines.push(format!("({})", self.masked(text)));
    }

    fn heard(&mut self, answer: Result<Response, lettre::transport::smtp::Error>) -> Result<(), Trouble> {
        match answer {
            Ok(response) => {
                let text: Vec<&str> = response.message().collect();
                let line = self.masked(&format!("server: {} {}", response.code(), text.join(" / ")));
                self.lines.push(line);
                Ok(())
            }
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// lettre reads greeting and EHLO itself; their substance is the server's name and what it offers.
    fn greeted(&mut self, connection: &AsyncSmtpConnection) {
        let info = connection.server_info();
        let offers = [
            (connection.can_starttls(), "STARTTLS"),
            (info.supports_auth_mechanism(Mechanism::Plain), "AUTH PLAIN"),
            (info.supports_auth_mechanism(Mechanism::Login), "AUTH LOGIN"),
            (info.supports_feature(Extension::SmtpUtfEight), "SMTPUTF8"),
        ];
        let offers: Vec<&str> =
            offers.iter().filter(|(offered, _)| *offered).map(|(_, name)| *name).collect();
        let offers = if offers.is_empty() { "nothing that is needed".to_owned() } else { offers.join(", ") };
        let line = self.masked(&format!("server: I am {} and offer {offers}", info.name()));
        self.lines.push(line);
        self.stage = Stage::Greeting;
    }

    fn trouble(&mut self, error: &lettre::transport::smtp::Error) -> Trouble {
        match Trouble::from_smtp(error, self.stage) {
            Trouble::Reply { stage, code, text } => {
                let text = self.masked(&text);
                self.lines.push(format!("server: {code} {text}"));
                Trouble::Reply { stage, code, text }
            }
            other => other,
        }
    }

    /// One line, without the password in any form we send it, should a server repeat it.
    fn masked(&self, text: &str) -> String {
        let one_line = text.replace(['\r', '\n'], " ");
        let Some(known) = self.email.credentials.as_ref().filter(|known| !known.password.is_empty()) else {
            return one_line;
        };
        let password = known.password.expose();
        let plain = STANDARD.encode(format!("\0{}\0{password}", known.username));
        [plain.as_str(), &STANDARD.encode(password), password]
            .iter()
            .fold(one_line, |line, secret| line.replace(secret, "••••"))
    }

    fn text(&self) -> String {
        // The refusal stands at the end.
        clip_middle(&self.lines.join("\n"), DETAIL_CHARS_MAX).into_owned()
    }
}

#[cfg(test)]
mod tests;
