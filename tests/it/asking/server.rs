//! A server on this machine that says whatever a test wants, and remembers what it was told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a server was told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(super) fn push(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    told: Told,
    connections: Arc<AtomicUsize>,
    // Ends with the test.
    _tasks: JoinSet<()>,
}

impl Server {
    /// Hands every connection to `serve`, which says what it was told before it answers.
    pub(super) async fn raw<F, S>(address: &str, serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream, Told) -> F + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Told::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let mut tasks = JoinSet::new();
        let (remembered, counted) = (told.clone(), Arc::clone(&connections));
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                open.spawn(serve(stream, remembered.clone()));
            }
        });
        Self { address, told, connections, _tasks: tasks }
    }

    /// Reads a request over HTTP, then hands the connection to `answer`.
    pub(super) async fn http<F, A>(answer: A) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        A: Fn(TcpStream) -> F + Clone + Send + Sync + 'static,
    {
        Self::raw("127.0.0.1:0", move |mut stream, told| {
            let answer = answer.clone();
            async move {
                told.push(request_head(&mut stream).await);
                answer(stream).await;
            }
        })
        .await
    }

    /// Answers every request with the same bytes, then hangs up.
    pub(super) async fn saying(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::http(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                // A client that heard enough is gone.
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
                drain(&mut stream).await;
            }
        })
        .await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// In the order in which it came.
    pub(super) fn asked(&self) -> Vec<String> {
        self.told.0.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(super) async fn request_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Closing with something unread would reset the connection and take the answer with it.
pub(super) async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}
