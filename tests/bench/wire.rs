//! HTTP/1.1 from the client's side, as little as the load and the questions to the product need.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where events go: the address and a DSN's two halves.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) project: u64,
    pub(crate) public_key: String,
}

/// A keep-alive connection that is opened again when it was lost.
pub(crate) struct Wire {
    address: SocketAddr,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// More headers than either server sends.
const HEADERS_MAX: usize = 48;

impl Wire {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, received: Vec::with_capacity(8192) }
    }

    /// Sends one request and reads its whole answer. After an error the next call connects anew.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await?,
        };
        stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            read_more(&mut stream, &mut self.received).await?;
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.length + head.body_length {
            read_more(&mut stream, &mut self.received).await?;
        }
        if head.keep_alive {
            self.stream = Some(stream);
        }
        let (bytes, body) = self.received.split_at(head.length);
        Ok(Reply { status: head.status, head: bytes, body: &body[..head.body_length] })
    }

    pub(crate) async fn get(&mut self, path: &str, header: &str) -> Result<Reply<'_>> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{header}\r\n\r\n", self.address);
        self.exchange(request.as_bytes()).await
    }
}

impl Reply<'_> {
    /// The cookies it sets, each as `name=value`.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let head = String::from_utf8_lossy(self.head);
        let headers = head.lines().filter_map(|line| line.split_once(':'));
        let set = headers.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        set.filter_map(|(_, cookie)| Some(cookie.split(';').next()?.trim().to_owned())).collect()
    }
}

/// A port of this machine that is free now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

struct Head {
    status: u16,
    length: usize,
    body_length: usize,
    keep_alive: bool,
}

impl Head {
    fn parse(received: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(received)? else { return Ok(None) };
        let status = response.code.context("no status")?;
        let mut head = Self { status, length, body_length: 0, keep_alive: true };
        for header in response.headers.iter() {
            let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
            if header.name.eq_ignore_ascii_case("content-length") {
                head.body_length = value.parse().context("content-length")?;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.keep_alive = !value.eq_ignore_ascii_case("close");
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("a chunked answer, which this client does not read");
            }
        }
        Ok(Some(head))
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<()> {
    if stream.read_buf(received).await? == 0 {
        bail!("the server closed the connection");
    }
    Ok(())
}
