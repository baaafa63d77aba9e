//! Somebody else's HTTP server: takes what comes and answers one status.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

pub(crate) struct Peer {
    pub(crate) url: String,
    bodies: Receiver<Value>,
}

impl Peer {
    /// Listens until the test ends; every request gets `status`.
    pub(crate) fn answering(status: u16) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, bodies) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let body = take(stream.unwrap(), status);
                if sender.send(body).is_err() {
                    return;
                }
            }
        });
        Peer { url, bodies }
    }

    /// What came so far.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.bodies.try_iter().collect()
    }
}

fn take(stream: TcpStream, status: u16) -> Value {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    serde_json::from_slice(&body).unwrap_or_default()
}
