//! Keeps a server from saying too much: the database's library makes room for a message as large as it is announced.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of one message; a row is one.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Of everything that is read over one connection.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// A letter and a length.
const HEAD_BYTES: usize = 5;

/// A connection whose messages are measured before anybody makes room for them.
#[derive(Debug)]
pub(super) struct Frames<S> {
    stream: S,
    meter: Meter,
}

/// Follows the heads of messages in a stream.
#[derive(Debug, Default)]
struct Meter {
    head: [u8; HEAD_BYTES],
    head_known: usize,
    /// Of the message whose head is known.
    body_left: usize,
    total: usize,
}

impl<S> Frames<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, meter: Meter::default() }
    }
}

impl Meter {
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > BYTES_MAX {
            return Err(too_much());
        }
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let skipped = self.body_left.min(bytes.len());
                self.body_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[self.head_known] = bytes[0];
            self.head_known += 1;
            bytes = &bytes[1..];
            if self.head_known == HEAD_BYTES {
                self.head_known = 0;
                self.body_left = self.announced()?;
            }
        }
        Ok(())
    }

    /// The bytes that follow the head. The length counts itself.
    fn announced(&self) -> io::Result<usize> {
        let [_, a, b, c, d] = self.head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let body = length
            .checked_sub(4)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers is no PostgreSQL"))?;
        if body > MESSAGE_BYTES_MAX { Err(too_much()) } else { Ok(body) }
    }
}

fn too_much() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it answers with more than is read: ask for less, such as a count",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.meter.pass(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut bytes = vec![b'D'];
        bytes.extend_from_slice(&(length + 4).to_be_bytes());
        bytes.resize(HEAD_BYTES + length as usize, 0);
        bytes
    }

    #[test]
    fn messages_are_measured_however_they_are_cut() {
        let stream: Vec<u8> = [message(0), message(7), message(300), message(1)].concat();
        for size in [1, 2, 5, 6, 100, stream.len()] {
            let mut meter = Meter::default();
            for piece in stream.chunks(size) {
                meter.pass(piece).unwrap();
            }
            assert_eq!((meter.head_known, meter.body_left), (0, 0), "in pieces of {size}");
        }
    }

    #[test]
    fn a_message_that_announces_too_much_is_refused_at_its_head() {
        for head in [[b'D', 0x7f, 0, 0, 0], [b'D', 0, 0x20, 0, 0], [b'D', 0, 0, 0, 3]] {
            assert!(Meter::default().pass(&head).is_err(), "{head:?}");
        }
        let mut meter = Meter::default();
        let piece = message(1024 * 1024 - 100);
        let passed = (0..20).take_while(|_| meter.pass(&piece).is_ok()).count();
        assert_eq!(passed, 8);
    }
}
