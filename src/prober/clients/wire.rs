//! A connection, encrypted or not, that remembers when what was said over it.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::dial::{self, Distrusted};
use super::question::{Looking, With};
use crate::probes::seen::{Failed, Phase};

/// Shared by a connection and whoever wants to know how it went, also after it was dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Arc<Mutex<Times>>);

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    asked_at: Option<Instant>,
    answered_at: Option<Instant>,
    heard_at: Option<Instant>,
    /// Bytes that may still come before it is too much; `None`: somebody else counts them.
    room: Option<usize>,
}

impl Marks {
    /// Begins anew, for the next connection. More than `room` bytes before [`Marks::lift`] end it.
    pub(super) fn begin(&self, room: Option<usize>) {
        self.update(|times| *times = Times { room, ..Times::default() });
    }

    /// From here on somebody else counts what comes.
    pub(super) fn lift(&self) {
        self.update(|times| times.room = None);
    }

    /// From the question's last byte to the answer's first.
    pub(super) fn answer_time(&self) -> Option<Duration> {
        let times = self.read();
        Some(times.answered_at?.saturating_duration_since(times.asked_at?))
    }

    /// Since the answer's first byte.
    pub(super) fn transfer_time(&self) -> Option<Duration> {
        Some(self.read().answered_at?.elapsed())
    }

    /// When something last came.
    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.read().heard_at
    }

    fn said(&self) {
        self.update(|times| {
            if times.answered_at.is_none() {
                times.asked_at = Some(Instant::now());
            }
        });
    }

    fn heard(&self, bytes: usize) -> io::Result<()> {
        let mut is_fine = true;
        self.update(|times| {
            let now = Instant::now();
            times.heard_at = Some(now);
            times.answered_at.get_or_insert(now);
            if let Some(room) = times.room {
                times.room = Some(room.saturating_sub(bytes));
                is_fine = bytes <= room;
            }
        });
        if is_fine { Ok(()) } else { Err(io::Error::other(TooMuch)) }
    }

    fn read(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Times)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// More came than there is room for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("more came than is read")]
pub(super) struct TooMuch;

pub(super) struct Wire {
    stream: Stream,
    marks: Marks,
}

/// Whether a connection is encrypted before anything is said over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    None,
    Tls,
}

enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) const fn plain(stream: TcpStream, marks: Marks) -> Self {
        Self { stream: Stream::Plain(stream), marks }
    }

    pub(super) fn encrypted(stream: TlsStream<TcpStream>, marks: Marks) -> Self {
        Self { stream: Stream::Encrypted(Box::new(stream)), marks }
    }

    /// Dials, agrees on encryption where wanted, and is ready for the question.
    pub(super) async fn open(
        (host, port): (&str, u16),
        encryption: Encryption,
        with: With<'_>,
        looking: &mut Looking,
    ) -> Result<Self, Failed> {
        let stream = dial::connect(host, port, with.reach, looking).await?;
        let marks = looking.marks.clone();
        let wire = match encryption {
            Encryption::None => Self::plain(stream, marks),
            Encryption::Tls => Self::encrypted(
                dial::encrypt(stream, host, with.trust, Distrusted::Refused, looking).await?.0,
                marks,
            ),
        };
        looking.phase = Phase::Answer;
        looking.marks.begin(None);
        Ok(wire)
    }

    /// The connection in the clear, to encrypt it.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(stream) => Some(stream),
            Stream::Encrypted(_) => None,
        }
    }

    /// This end's address.
    pub(super) fn own_address(&self) -> Option<IpAddr> {
        let stream = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Encrypted(stream) => stream.get_ref().0,
        };
        stream.local_addr().ok().map(|address| address.ip())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = match &mut this.stream {
            Stream::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, buffer)),
            // Many servers hang up without the farewell of TLS. Whether the answer is whole, its length says.
            Stream::Encrypted(stream) => match ready!(Pin::new(stream).poll_read(cx, buffer)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                result => result,
            },
        };
        let came = buffer.filled().len() - before;
        Poll::Ready(match result {
            Ok(()) if came > 0 => this.marks.heard(came),
            result => result,
        })
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        });
        this.marks.said();
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
