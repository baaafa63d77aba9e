//! The server that probes ask: answers at once and notes when it was asked for what.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long whoever asks waits.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Nobody who probes sends more.
const REQUEST_BYTES_MAX: usize = 4096;
pub(super) const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";

/// Every time at which a path was asked for.
type Asked = BTreeMap<String, Vec<Instant>>;

/// Serves until it is dropped.
pub(crate) struct Answers {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    _serving: JoinSet<()>,
}

impl Answers {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Asked>>::default();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&asked)));
        Ok(Self { address, asked, _serving: serving })
    }

    /// How far from `interval` the time between two questions for the same path was, sorted.
    pub(crate) fn lags(&self, interval: Duration) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = asked.values().flat_map(|times| times.windows(2));
        let mut lags: Vec<_> = pairs.map(|pair| (pair[1] - pair[0]).abs_diff(interval)).collect();
        lags.sort_unstable();
        lags
    }

    /// How often something was asked for.
    pub(crate) fn count(&self) -> u32 {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(asked.values().map(Vec::len).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Forgets what was asked up to now.
    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many paths were asked for.
    pub(crate) fn paths(&self) -> usize {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn accept(listener: TcpListener, asked: Arc<Mutex<Asked>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(answer(stream, Arc::clone(&asked)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(mut stream: TcpStream, asked: Arc<Mutex<Asked>>) {
    let mut received = Vec::new();
    while received.len() < REQUEST_BYTES_MAX {
        match stream.read_buf(&mut received).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if received.windows(4).any(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(path)
                .or_default()
                .push(Instant::now());
            received.clear();
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}
