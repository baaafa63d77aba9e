//! A connection that is read by lines and in bounds.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::question::Looking;
use super::wire::Wire;
use crate::probes::seen::Failed;

/// Reads lines and counted bytes; no more than its bound in all, whatever the other side sends.
pub(super) struct Lines {
    stream: BufReader<Wire>,
    left: usize,
}

impl Lines {
    pub(super) fn new(wire: Wire, bytes_max: usize) -> Self {
        Self { stream: BufReader::new(wire), left: bytes_max }
    }

    /// One line without its end, of at most `bytes_max`.
    pub(super) async fn line(&mut self, bytes_max: usize, looking: &Looking) -> Result<Vec<u8>, Failed> {
        let bound = bytes_max.min(self.left);
        let mut line = Vec::new();
        // One byte more than may be there tells a line that ends from one that does not.
        let mut bounded = (&mut self.stream).take(bound as u64 + 1);
        bounded.read_until(b'\n', &mut line).await.map_err(|error| looking.broken(&error))?;
        if line.last() != Some(&b'\n') {
            let reason = if line.len() > bound {
                "it sends more than belongs here"
            } else {
                "the connection was closed"
            };
            return Err(looking.failed(reason));
        }
        self.left -= line.len().min(self.left);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// Exactly so many bytes.
    pub(super) async fn bytes(&mut self, count: usize, looking: &Looking) -> Result<Vec<u8>, Failed> {
        if count > self.left {
            return Err(looking.failed("it sends more than belongs here"));
        }
        self.left -= count;
        let mut bytes = Vec::new();
        (&mut self.stream)
            .take(count as u64)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| looking.broken(&error))?;
        if bytes.len() == count { Ok(bytes) } else { Err(looking.failed("the connection was closed")) }
    }

    pub(super) async fn write(&mut self, bytes: &[u8], looking: &Looking) -> Result<(), Failed> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        written.await.map_err(|error| looking.broken(&error))
    }

    /// The connection, to encrypt it; `None` where something was sent ahead that nobody asked for.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        if self.stream.buffer().is_empty() { self.stream.into_inner().into_plain() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::prober::clients::wire::Marks;

    async fn reading(sent: &'static [u8], bytes_max: usize) -> Lines {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let mut server = server.unwrap().0;
        server.write_all(sent).await.unwrap();
        Lines::new(Wire::plain(client.unwrap(), Marks::default()), bytes_max)
    }

    #[tokio::test]
    async fn lines_and_bytes_are_bounded() {
        let looking = Looking::new(Timestamp::EPOCH, std::sync::Arc::default());
        let mut lines = reading(b"one\r\ntwo\nfour4", 17).await;
        assert_eq!(lines.line(10, &looking).await.unwrap(), b"one");
        assert_eq!(lines.line(4, &looking).await.unwrap(), b"two");
        assert_eq!(lines.bytes(5, &looking).await.unwrap(), b"four4");
        assert!(lines.bytes(4, &looking).await.unwrap_err().reason.contains("more than belongs"));
        assert!(lines.line(10, &looking).await.unwrap_err().reason.contains("closed"));
        for (sent, bound) in [(b"endless".as_slice(), 4), (b"123456\n", 5)] {
            let mut lines = reading(sent, 100).await;
            let told = lines.line(bound, &looking).await.unwrap_err();
            assert!(told.reason.contains("more than belongs"), "{told}");
        }
    }

    #[tokio::test]
    async fn what_was_sent_ahead_spoils_the_change_to_encryption() {
        let looking = Looking::new(Timestamp::EPOCH, std::sync::Arc::default());
        let mut lines = reading(b"220 go\r\nEXTRA", 100).await;
        lines.line(50, &looking).await.unwrap();
        assert!(lines.into_plain().is_none());
        let mut lines = reading(b"220 go\r\n", 100).await;
        lines.line(50, &looking).await.unwrap();
        assert!(lines.into_plain().is_some());
    }
}
