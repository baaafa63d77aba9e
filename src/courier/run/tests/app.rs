//! The team's app: takes calls, remembers them, and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A call that came.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// With its query.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What the app says.
#[derive(Clone, Debug)]
pub(super) enum Say {
    Status(u16),
    /// A status, lines of headers, a body.
    Whole(u16, &'static str, String),
    /// Nothing, until [`App::release`].
    Wait,
}

pub(super) struct App {
    pub(super) url: String,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

struct State {
    calls: watch::Sender<Vec<Call>>,
    /// What is said to the next calls; after them `then`.
    script: Mutex<VecDeque<Say>>,
    then: Mutex<Say>,
    released: watch::Sender<bool>,
    under_way: Mutex<(usize, usize)>,
}

impl Call {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

impl App {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            calls: watch::Sender::new(Vec::new()),
            script: Mutex::default(),
            then: Mutex::new(Say::Status(200)),
            released: watch::Sender::new(false),
            under_way: Mutex::default(),
        });
        let (mut serving, serves) = (JoinSet::new(), Arc::clone(&state));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&serves)));
            }
        });
        Self { url, state, _serving: serving }
    }

    /// What is said to the next calls, one after the other.
    pub(super) fn script(&self, says: &[Say]) {
        self.state.script.lock().unwrap().extend(says.iter().cloned());
    }

    /// What is said where the script says nothing.
    pub(super) fn then(&self, say: Say) {
        *self.state.then.lock().unwrap() = say;
    }

    /// Answers 200 to those who wait.
    pub(super) fn release(&self) {
        self.state.released.send_replace(true);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.state.calls.borrow().clone()
    }

    /// Waits until so many calls came.
    pub(super) async fn heard(&self, count: usize) -> Vec<Call> {
        let mut calls = self.state.calls.subscribe();
        let heard = calls.wait_for(|calls| calls.len() >= count);
        let heard = tokio::time::timeout(super::bed::WAIT, heard).await;
        heard.unwrap_or_else(|_| panic!("of {count} calls {} came", self.calls().len())).unwrap().clone()
    }

    /// The most that were under way at once.
    pub(super) fn most(&self) -> usize {
        self.state.under_way.lock().unwrap().1
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut bytes = Vec::new();
    while let Some(call) = read(&mut stream, &mut bytes).await {
        {
            let mut under_way = state.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        let say = {
            let scripted = state.script.lock().unwrap().pop_front();
            scripted.unwrap_or_else(|| state.then.lock().unwrap().clone())
        };
        state.calls.send_modify(|calls| calls.push(call));
        let (status, headers, body) = match say {
            Say::Status(status) => (status, "", String::new()),
            Say::Whole(status, headers, body) => (status, headers, body),
            Say::Wait => {
                state.released.subscribe().wait_for(|released| *released).await.unwrap();
                (200, "", String::new())
            }
        };
        state.under_way.lock().unwrap().0 -= 1;
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Call> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = request.parse(bytes).ok()? {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let headers: Vec<(String, String)> =
                request.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
            let path = request.path.unwrap_or_default().to_owned();
            let call = Call { path, headers, body: Vec::new() };
            let length: usize = call.header("content-length").parse().unwrap_or(0);
            while bytes.len() < head + length {
                if stream.read_buf(bytes).await.ok()? == 0 {
                    return None;
                }
            }
            let body = bytes[head..head + length].to_vec();
            bytes.drain(..head + length);
            return Some(Call { body, ..call });
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
