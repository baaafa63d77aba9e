//! The end of what a command wrote.

/// Keeps the last bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

/// As much as a heartbeat keeps by default.
pub(super) const TAIL_BYTES_MAX: usize = 10_000;

impl Tail {
    pub(super) fn push(&mut self, piece: &[u8]) {
        let piece = piece.get(piece.len().saturating_sub(TAIL_BYTES_MAX)..).unwrap_or(piece);
        self.bytes.extend_from_slice(piece);
        // Moved seldom, not with every piece.
        if self.bytes.len() > 4 * TAIL_BYTES_MAX {
            self.cut();
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }

    fn cut(&mut self) {
        let more = self.bytes.len().saturating_sub(TAIL_BYTES_MAX);
        self.bytes.drain(..more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_however_it_comes() {
        let text: Vec<u8> = (0..100_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap_or(0)).collect();
        for size in [1, 999, 50_000, 100_000] {
            let mut tail = Tail::default();
            text.chunks(size).for_each(|piece| tail.push(piece));
            assert!(tail.bytes.len() <= 5 * TAIL_BYTES_MAX);
            assert_eq!(tail.finish(), &text[90_000..], "{size}");
        }
    }
}
