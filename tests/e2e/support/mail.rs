//! A real submission server (aiosmtpd): STARTTLS or TLS from the first byte, with a throwaway authority, sign-in required, mail kept.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    tools::{python, tests_file},
};

pub(crate) const USERNAME: &str = "tocsin";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const RECIPIENT: &str = "ops@example.com";

/// What happens to the next message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Accept,
    /// 451: try again.
    Later,
    /// 550: do not try again.
    Never,
    /// 554 to whoever greets.
    Closed,
}

/// A message as the server took it.
#[derive(Clone, Debug)]
pub(crate) struct Mail(Value);

impl Mail {
    /// A header's text, empty when the message has none; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> String {
        self.0["headers"][name].as_str().unwrap_or_default().to_owned()
    }

    /// The part of this content type, empty when the message has none.
    pub(crate) fn part(&self, content_type: &str) -> String {
        self.0["parts"][content_type].as_str().unwrap_or_default().to_owned()
    }

    /// `type` of the whole message, `user` who signed in, `tls`, `to`, `from`.
    pub(crate) fn fact(&self, name: &str) -> &Value {
        &self.0[name]
    }
}

/// The running server.
pub(crate) struct MailServer {
    folder: TempDir,
    child: Option<Child>,
    port: u16,
    /// As tocsin's configuration calls it.
    tls: &'static str,
}

impl MailServer {
    pub(crate) fn start() -> MailServer {
        MailServer::with("starttls")
    }

    /// One whose connections are encrypted from their first byte.
    pub(crate) fn start_encrypted() -> MailServer {
        MailServer::with("tls")
    }

    /// One that knows no encryption.
    pub(crate) fn start_plain() -> MailServer {
        MailServer::with("none")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// One with STARTTLS and papers of somebody's choice.
    pub(crate) fn start_with(certificates: &Certificates) -> MailServer {
        let folder = TempDir::new().expect("a temporary folder can be made");
        certificates.write_to(folder.path());
        MailServer::within(folder, "starttls")
    }

    fn with(tls: &'static str) -> MailServer {
        MailServer::within(TempDir::new().expect("a temporary folder can be made"), tls)
    }

    fn within(folder: TempDir, tls: &'static str) -> MailServer {
        let mut server = MailServer { folder, child: None, port: 0, tls };
        server.revive();
        server
    }

    /// Starts again on the same port, with the same authority and the messages so far.
    pub(crate) fn revive(&mut self) {
        assert!(self.child.is_none(), "the mail server runs already");
        let mut command = python();
        command
            .arg(tests_file("e2e/support/smtp_catcher.py"))
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .arg(self.tls);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its output can be read");
        let said: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the mail server said {line:?}"));
        self.port =
            said["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("it says its port");
        self.child = Some(child);
    }

    /// It keeps its connections and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it has a process id");
        kill_process(pid, signal).expect("it can be told");
    }

    /// Kills it: connections are refused from now on.
    pub(crate) fn die(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the mail server can be killed");
            child.wait().expect("its end can be seen");
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        let word = match mode {
            Mode::Accept => "accept",
            Mode::Later => "later",
            Mode::Never => "never",
            Mode::Closed => "closed",
        };
        fs::write(self.folder.path().join("mode"), word).expect("the mode can be written");
    }

    /// From now on mail is taken for everybody but these (450: try again).
    pub(crate) fn put_off(&self, recipients: &[&str]) {
        fs::write(self.folder.path().join("put_off"), recipients.join("\n")).expect("it can be written");
    }

    /// What a tocsin that sends through this server is configured with.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let port = self.port.to_string();
        let authority = self.authority().display().to_string();
        [
            ("TOCSIN_SMTP__HOST", "127.0.0.1"),
            ("TOCSIN_SMTP__PORT", port.as_str()),
            ("TOCSIN_SMTP__TLS", self.tls),
            ("TOCSIN_SMTP__USERNAME", USERNAME),
            ("TOCSIN_SMTP__PASSWORD", PASSWORD),
            ("TOCSIN_SMTP__FROM", "Tocsin <tocsin@example.com>"),
            ("TOCSIN_SMTP__CA_FILE", authority.as_str()),
            ("TOCSIN_ALERTS__EMAIL", RECIPIENT),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.lines("messages.jsonl").into_iter().map(Mail).collect()
    }

    /// Each attempt to sign in: `{mechanism, good, tls}`.
    pub(crate) fn sign_ins(&self) -> Vec<Value> {
        self.lines("sign_ins.jsonl")
    }

    /// Each message that was refused, `{mode}`, and each recipient who was put off, `{mode, to}`.
    pub(crate) fn refused(&self) -> Vec<Value> {
        self.lines("refused.jsonl")
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        // A last line without its end is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a whole line is JSON")).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.die();
    }
}

/// The support's own proof, with the mail library that the product uses.
mod tests {
    use lettre::{
        AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
        transport::smtp::{
            authentication::Credentials,
            client::{Certificate, Tls, TlsParameters},
        },
    };

    use super::*;

    fn transport(
        server: &MailServer,
        password: &str,
        is_encrypted: bool,
    ) -> AsyncSmtpTransport<Tokio1Executor> {
        let pem = fs::read(server.authority()).unwrap();
        let parameters = TlsParameters::builder("127.0.0.1".to_owned())
            .add_root_certificate(Certificate::from_pem(&pem).unwrap())
            .build()
            .unwrap();
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(server.port)
            .tls(if is_encrypted { Tls::Required(parameters) } else { Tls::None })
            .credentials(Credentials::new(USERNAME.to_owned(), password.to_owned()))
            .build()
    }

    fn message() -> Message {
        let message = Message::builder().from("tocsin@example.com".parse().unwrap()).subject("hello");
        message.to(RECIPIENT.parse().unwrap()).body("world".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn mail_is_taken_only_after_starttls_and_sign_in() {
        let mut server = MailServer::start();
        transport(&server, PASSWORD, true).send(message()).await.expect("the right way in works");
        let mail = &server.mails()[0];
        assert_eq!(mail.header("subject"), "hello");
        assert_eq!((mail.fact("user").as_str(), mail.fact("tls").as_bool()), (Some(USERNAME), Some(true)));

        transport(&server, "wrong", true).send(message()).await.expect_err("a wrong password is refused");
        transport(&server, PASSWORD, false).send(message()).await.expect_err("mail in the clear is refused");
        assert_eq!(server.mails().len(), 1);

        server.set_mode(Mode::Later);
        assert!(transport(&server, PASSWORD, true).send(message()).await.unwrap_err().is_transient());
        server.set_mode(Mode::Never);
        assert!(transport(&server, PASSWORD, true).send(message()).await.unwrap_err().is_permanent());
        assert_eq!(server.refused().len(), 2);
        assert!(server.sign_ins().iter().all(|sign_in| sign_in["tls"] == true), "no password in the clear");

        server.die();
        transport(&server, PASSWORD, true).send(message()).await.expect_err("a dead server takes nothing");
        server.revive();
        server.set_mode(Mode::Accept);
        transport(&server, PASSWORD, true).send(message()).await.expect("it is back on the same port");
        assert_eq!(server.mails().len(), 2);
    }
}
