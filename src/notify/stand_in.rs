//! For tests: an HTTP peer that answers from a script, and a mail server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::base::{Clock, Timestamp};

/// A peer that answers request after request from a script and keeps what it was sent.
pub(super) struct Peer {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Vec<(Timestamp, String)>>>,
    _task: JoinSet<()>,
}

impl Peer {
    /// Stands for whatever listens there.
    pub(super) fn at(url: String) -> Self {
        Self { url, seen: Arc::default(), _task: JoinSet::new() }
    }
}

pub(super) async fn peer(clock: &Clock, script: &[&str]) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut script: VecDeque<String> = script.iter().map(|answer| (*answer).to_owned()).collect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (clock, notes) = (clock.clone(), Arc::clone(&seen));
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Some(answer) = script.pop_front() {
            let (mut socket, _) = listener.accept().await.unwrap();
            let request = read_request(&mut socket).await;
            notes.lock().unwrap().push((clock.now(), request));
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    Peer { url, seen, _task: task }
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let count = socket.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
            if body.len() >= length || count == 0 {
                return text;
            }
        }
    }
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A mail server that takes what it is given, except for the recipients that it was told to answer otherwise.
pub(super) struct Relay {
    pub(super) port: u16,
    /// The answer to `RCPT TO` by address.
    answers: Arc<Mutex<BTreeMap<String, String>>>,
    /// The recipients of each mail that was taken.
    taken: Arc<Mutex<Vec<Vec<String>>>>,
    _task: JoinSet<()>,
}

impl Relay {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, taken) = (Arc::<Mutex<BTreeMap<_, _>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (told, notes) = (Arc::clone(&answers), Arc::clone(&taken));
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                converse(socket, &told, &notes).await.unwrap();
            }
        });
        Self { port, answers, taken, _task: task }
    }

    /// From now on `RCPT TO` of this address gets this answer.
    pub(super) fn answer(&self, recipient: &str, answer: &str) {
        self.answers.lock().unwrap().insert(recipient.to_owned(), answer.to_owned());
    }

    /// From now on everybody gets mail.
    pub(super) fn relent(&self) {
        self.answers.lock().unwrap().clear();
    }

    pub(super) fn take_taken(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *self.taken.lock().unwrap())
    }
}

/// One conversation, until the client hangs up.
async fn converse(
    mut socket: tokio::net::TcpStream,
    answers: &Mutex<BTreeMap<String, String>>,
    taken: &Mutex<Vec<Vec<String>>>,
) -> std::io::Result<()> {
    let (reader, mut writer) = socket.split();
    let mut lines = BufReader::new(reader).lines();
    let (mut recipients, mut is_message) = (Vec::new(), false);
    writer.write_all(b"220 relay.example.com\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.as_str() {
            "." if is_message => {
                is_message = false;
                taken.lock().unwrap().push(std::mem::take(&mut recipients));
                "250 kept".to_owned()
            }
            _ if is_message => continue,
            "DATA" => {
                is_message = true;
                "354 go on".to_owned()
            }
            command => respond(command, answers, &mut recipients),
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn respond(command: &str, answers: &Mutex<BTreeMap<String, String>>, recipients: &mut Vec<String>) -> String {
    let recipient = command.strip_prefix("RCPT TO:<").and_then(|rest| rest.strip_suffix('>'));
    let answer = recipient.and_then(|recipient| answers.lock().unwrap().get(recipient).cloned());
    match (recipient, answer) {
        (Some(_), Some(answer)) => answer,
        (Some(recipient), None) => {
            recipients.push(recipient.to_owned());
            "250 ok".to_owned()
        }
        (None, _) => "250 ok".to_owned(),
    }
}
