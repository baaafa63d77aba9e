//! A process that is stopped and goes on later, as a paused machine does: what it was asking meanwhile proves nothing.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    holds_for,
    server::{Server, Setup},
    wait_until,
};

const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Longer than the probe's time limit, and than what counts as starved.
const STOPPED_FOR: Duration = Duration::from_secs(4);

/// A web server that keeps those who ask waiting while it is told to, and then hangs up on them.
#[derive(Clone, Default)]
struct Web {
    holds: Arc<AtomicBool>,
    held: Arc<Mutex<Vec<TcpStream>>>,
    answered: Arc<AtomicUsize>,
}

impl Web {
    fn start() -> (Web, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let web = Web::default();
        let serving = web.clone();
        // Ends with the test.
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| serving.answer(stream)));
        (web, url)
    }

    fn answer(&self, mut stream: TcpStream) {
        if self.holds.load(Ordering::SeqCst) {
            return self.held.lock().unwrap().push(stream);
        }
        let asked = stream.read(&mut [0; 4096]).unwrap_or(0);
        if asked == 0 {
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").ok();
        self.answered.fetch_add(1, Ordering::SeqCst);
    }
}

fn signal(server: &Server, signal: Signal) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("it has a process id");
    kill_process(pid, signal).expect("it can be told");
}

fn is_stopped(server: &Server) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

#[test]
fn what_was_asked_while_the_process_was_stopped_is_blind_and_blames_nobody() {
    let (web, url) = Web::start();
    let mut server = Server::start(Setup::with(&[
        ("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8"),
        ("TOCSIN_PROBES__CANARIES", ""),
    ]));
    let api = server.api();
    // One bad answer would be enough.
    let probe = json!({
        "key": "shop", "name": "The shop", "project": "default",
        "definition": {
            "target": {"kind": "http", "url": url},
            "policy": {"interval": "5s", "timeout": "2s", "retry_interval": "1s", "bad": 1, "of": 1},
        },
    });
    api.write(Method::POST, "/api/v1/probes", &probe);
    let status = || api.get("/api/v1/probes/shop")["status"].clone();
    wait_until("the probe is healthy", SEEN_WITHIN, || (status() == "healthy").then_some(()));

    web.holds.store(true, Ordering::SeqCst);
    wait_until("a question is under way", SEEN_WITHIN, || {
        (!web.held.lock().unwrap().is_empty()).then_some(())
    });
    signal(&server, Signal::STOP);
    wait_until("it is stopped", SEEN_WITHIN, || is_stopped(&server).then_some(()));
    web.holds.store(false, Ordering::SeqCst);
    holds_for("it stays stopped", STOPPED_FOR, || is_stopped(&server));
    // A connection that ends without an answer: by itself a proof of trouble.
    web.held.lock().unwrap().clear();
    let answered = web.answered.load(Ordering::SeqCst);
    signal(&server, Signal::CONT);

    wait_until("it is asked again", SEEN_WITHIN, || {
        (web.answered.load(Ordering::SeqCst) > answered).then_some(())
    });
    wait_until("the probe is healthy again", SEEN_WITHIN, || (status() == "healthy").then_some(()));
    assert_eq!(api.get("/api/v1/incidents")["items"], Value::Array(Vec::new()));
    let count = |sql: &str| server.cli(&["sql", "--json", sql])["items"][0]["n"].clone();
    assert_eq!(count("SELECT count(*) AS n FROM probe_changes WHERE status = 'unhealthy'"), 0);
    wait_until("the gap is written down", SEEN_WITHIN, || {
        (count("SELECT count(*) AS n FROM blind_spells WHERE reason = 'starved'") == 1).then_some(())
    });
    assert!(server.stop(), "{}", server.log_tail());
}
