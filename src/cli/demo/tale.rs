//! What happens, line by line with its time, on the terminal and above the mails.

use std::time::Duration;

use super::super::Output;
use super::inbox::Inbox;
use crate::base::{Clock, Timestamp};

pub(super) struct Tale<'o> {
    pub(super) output: &'o mut Output,
    pub(super) inbox: Inbox,
    pub(super) clock: Clock,
}

impl Tale<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// One thing that happened, for both.
    pub(super) fn tell(&mut self, text: &str) -> anyhow::Result<()> {
        self.inbox.say(text);
        self.tell_here(text)
    }

    /// As [`Tale::tell`], for the terminal alone.
    pub(super) fn tell_here(&mut self, text: &str) -> anyhow::Result<()> {
        let line = format!("{}  {text}", clock_time(self.now()));
        self.say(&line)
    }

    /// A line without a time, for the terminal alone.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.output.say(text)?)
    }

    pub(super) fn table(&mut self, rows: &[Vec<String>]) -> anyhow::Result<()> {
        Ok(self.output.table(rows)?)
    }
}

/// The time of day, in UTC.
pub(super) fn clock_time(at: Timestamp) -> String {
    at.to_chrono().format("%H:%M:%S").to_string()
}

/// `40 ms`, `1.2 s`, `75 s`: what a person would say.
pub(super) fn span(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        1000..10_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_exact_as_they_are_short() {
        for (millis, said) in [(0, "0 ms"), (999, "999 ms"), (1240, "1.2 s"), (75_900, "75 s")] {
            assert_eq!(span(Duration::from_millis(millis)), said);
        }
    }
}
