//! The plain part of a connection before STARTTLS, read so that nothing an attacker slips in behind the server's
//! "ready" counts as said inside TLS (the response-injection weakness of many mail programs, NO STARTTLS 2021).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that hands out single bytes from the command STARTTLS to the end of the answer's last line, so
/// that the reader's buffer cannot hold more than the answer when TLS begins. What follows goes to TLS, which
/// fails on it.
pub(super) struct Wire {
    stream: TcpStream,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Plain,
    /// The answer to STARTTLS is coming; the bytes of its present line so far, at most 4 remembered.
    Answer {
        line: [u8; 4],
        len: usize,
    },
    Handed,
}

impl Wire {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, phase: Phase::Plain }
    }
}

impl Phase {
    fn after_write(self, written: &[u8]) -> Self {
        match self {
            Self::Plain if written.eq_ignore_ascii_case(b"STARTTLS\r\n") => {
                Self::Answer { line: [0; 4], len: 0 }
            }
            Self::Plain | Self::Answer { .. } | Self::Handed => self,
        }
    }

    /// A line whose fourth character is no dash is an answer's last (RFC 5321 §4.2.1).
    fn after_read(self, byte: u8) -> Self {
        match self {
            Self::Answer { line, len } if byte == b'\n' => {
                if len >= 4 && line[3] == b'-' {
                    Self::Answer { line: [0; 4], len: 0 }
                } else {
                    Self::Handed
                }
            }
            Self::Answer { mut line, len } => {
                if let Some(slot) = line.get_mut(len) {
                    *slot = byte;
                }
                Self::Answer { line, len: len + 1 }
            }
            Self::Plain | Self::Handed => self,
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.phase {
            Phase::Plain | Phase::Handed => Pin::new(&mut self.stream).poll_read(cx, buf),
            Phase::Answer { .. } => {
                let mut byte = [0];
                let mut one = ReadBuf::new(&mut byte);
                let polled = Pin::new(&mut self.stream).poll_read(cx, &mut one);
                if let [read] = one.filled() {
                    self.phase = self.phase.after_read(*read);
                    buf.put_slice(&[*read]);
                }
                polled
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = polled {
            self.phase = self.phase.after_write(&buf[..count.min(buf.len())]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("phase", &self.phase).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of_answer(answer: &[u8]) -> usize {
        let mut phase = Phase::Plain.after_write(b"STARTTLS\r\n");
        for (at, byte) in answer.iter().enumerate() {
            phase = phase.after_read(*byte);
            if phase == Phase::Handed {
                return at + 1;
            }
        }
        usize::MAX
    }

    #[test]
    fn the_answer_to_starttls_ends_with_its_last_line() {
        assert_eq!(end_of_answer(b"220 ready\r\n250 injected\r\n"), 11);
        assert_eq!(end_of_answer(b"220-one\r\n220 two\r\n250 x\r\n"), 18);
        assert_eq!(end_of_answer(b"220\r\n250 x\r\n"), 5);
        assert_eq!(Phase::Plain.after_write(b"EHLO x\r\n"), Phase::Plain);
    }
}
