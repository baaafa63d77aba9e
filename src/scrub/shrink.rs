//! Brings an event that is still too large below its bound, by the worth of its parts.

use super::ScrubError;
use super::pass::{Part, Pass};
use super::section;
use super::warning::{Step, WarningKind};

impl Pass<'_> {
    /// Leaves out parts of the event, the most dispensable first, until it takes no more than `bytes_max`.
    pub(super) fn shrink(&mut self, bytes_max: usize) -> Result<(), ScrubError> {
        if self.out.len() <= bytes_max {
            return Ok(());
        }
        let too_large = ScrubError::TooLarge { bytes: self.out.len(), max: bytes_max };
        let turn = |part: &Part<'_>| section::turn_to_go(&part.key);
        let mut turns: Vec<u8> = self.parts.iter().filter_map(turn).collect();
        turns.sort_unstable();
        turns.dedup();
        let (mut bytes, mut last_turn) = (self.out.len(), None);
        for due in turns {
            if bytes <= bytes_max {
                break;
            }
            let gone = self.parts.iter().filter(|part| turn(part) == Some(due)).map(|part| part.at.len() + 1);
            bytes = bytes.saturating_sub(gone.sum());
            last_turn = Some(due);
        }
        let Some(last_turn) = last_turn.filter(|_| bytes <= bytes_max) else { return Err(too_large) };
        let mut kept = vec![b'{'];
        for part in std::mem::take(&mut self.parts) {
            if turn(&part).is_some_and(|turn| turn <= last_turn) {
                let detail = format!("{} bytes, to keep the event small", part.at.len());
                self.warnings.add_first(&[Step::Key(part.key)], WarningKind::LeftOut, detail);
                continue;
            }
            if kept.len() > 1 {
                kept.push(b',');
            }
            kept.extend_from_slice(self.out.get(part.at).unwrap_or_default());
        }
        kept.push(b'}');
        self.out = kept;
        Ok(())
    }
}
