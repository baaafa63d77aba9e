//! A stand-in for whoever is called over HTTP: answers as scripted, request by request, and remembers every one.
//! Knows Slack's two endpoints: an incoming webhook answers `ok`, `chat.postMessage` answers with a `ts`.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// What one request gets.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// What a healthy counterpart says on that path.
    Good,
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Nothing, until the caller gives up or this long has passed.
    Silence(Duration),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Reply {
        Reply::Status(status, Vec::new(), String::new())
    }

    pub(crate) fn too_many(retry_after_s: u64) -> Reply {
        Reply::Status(429, vec![("Retry-After", retry_after_s.to_string())], "rate_limited".to_owned())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    requests: Vec<Request>,
}

/// The stand-in; lives until the test's process ends.
pub(crate) struct Peer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Peer {
    /// Answers by the script, then always `Good`.
    pub(crate) fn start(script: &[Reply]) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state =
            Arc::new(Mutex::new(State { script: script.iter().cloned().collect(), requests: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Peer { address, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }
}

/// One connection: requests one after the other until the other side leaves.
fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let (reply, number) = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            (state.script.pop_front().unwrap_or(Reply::Good), state.requests.len())
        };
        let (status, headers, body) = match reply {
            Reply::Good => good(&request, number),
            Reply::Status(status, headers, body) => (status, headers, body),
            Reply::Silence(period) => {
                // The caller's end of the connection is the signal to stop waiting.
                let mut byte = [0];
                stream.set_read_timeout(Some(period)).unwrap();
                drop(reader.read(&mut byte));
                return;
            }
        };
        let mut answer = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            answer.extend([name, ": ", &value, "\r\n"]);
        }
        if (&mut &*stream).write_all(format!("{answer}\r\n{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn good(request: &Request, number: usize) -> (u16, Vec<(&'static str, String)>, String) {
    if request.path.ends_with("/chat.postMessage") {
        let body = json!({"ok": true, "channel": "C0ALERTS", "ts": ts(number)});
        return (200, vec![("Content-Type", "application/json".to_owned())], body.to_string());
    }
    (200, vec![("Content-Type", "text/plain".to_owned())], "ok".to_owned())
}

/// The `ts` that the stand-in gives to its nth request.
pub(crate) fn ts(number: usize) -> String {
    format!("1700000000.{number:06}")
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { at: Instant::now(), method, path, headers, body })
}

#[test]
fn the_script_is_followed_and_every_request_is_remembered() {
    let peer = Peer::start(&[Reply::too_many(2), Reply::status(500)]);
    let api = super::api::Api::stranger(peer.address);
    let post = |body: &str| {
        api.send(reqwest::Method::POST, "/api/chat.postMessage", &[], body.as_bytes().to_vec()).unwrap()
    };
    let limited = post("{\"n\":1}");
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("2")));
    assert_eq!(post("{\"n\":2}").status, 500);
    assert_eq!(post("{\"n\":3}").json()["ts"], ts(3));
    let numbers: Vec<Value> = peer.requests().iter().map(|request| request.json()["n"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
