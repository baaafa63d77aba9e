//! For tests: an HTTP peer that answers from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
