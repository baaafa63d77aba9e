//! Lists: plain ones, those that stand for an object, and those of which only the ends stay.

use super::ScrubError;
use super::names::Sensitivity;
use super::pass::Pass;
use super::place::{Child, ListBound, Place};
use super::reader::Shape;
use super::warning::{Step, WarningKind};

impl Pass<'_> {
    /// Copies a list that ends at its limit.
    pub(super) fn list(&mut self, place: Place, limit: usize) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'[');
        let limit = limit.min(self.out.len().saturating_add(place.tree_bytes_max()));
        let (mut first, mut index, mut left_out) = (true, 0, 0_usize);
        let mut name_before = Sensitivity::Clear;
        while self.reader.next_element(first)? {
            first = false;
            if index >= place.entries_max() || self.out.len() >= limit {
                self.reader.skip()?;
                left_out += 1;
                continue;
            }
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(Step::Index(index));
            match self.reader.shape()? {
                Shape::Array if place.holds_pairs() => self.pair(place, limit)?,
                Shape::Text if place == Place::Headers => {
                    name_before = self.flat_header(index, name_before, limit)?;
                }
                Shape::Array | Shape::Object | Shape::Text | Shape::Plain => {
                    self.value(place.element(), limit)?;
                }
            }
            self.path.pop();
            index += 1;
        }
        if left_out > 0 {
            self.warn(WarningKind::LeftOut, format!("{left_out} of {} entries left out", index + left_out));
            if !place.holds_pairs() {
                let comma = if index > 0 { "," } else { "" };
                self.out.extend_from_slice(format!("{comma}\"… {left_out} more\"").as_bytes());
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// Copies one text of a list that holds names and values by turns, as Node's `rawHeaders`.
    fn flat_header(
        &mut self,
        index: usize,
        name: Sensitivity,
        limit: usize,
    ) -> Result<Sensitivity, ScrubError> {
        if !index.is_multiple_of(2) {
            self.judged(name, Place::Free, limit)?;
            return Ok(Sensitivity::Clear);
        }
        let quoted = self.reader.quoted()?;
        let name = self.name(quoted);
        self.text(quoted, Place::Free);
        Ok(self.names.judge(&name))
    }

    /// Copies a `[name, value]` pair of a list that stands for an object.
    fn pair(&mut self, place: Place, limit: usize) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'[');
        let mut named = (Sensitivity::Clear, place);
        let (mut first, mut index, mut left_out) = (true, 0, 0_usize);
        while self.reader.next_element(first)? {
            first = false;
            if self.out.len() >= limit {
                self.reader.skip()?;
                left_out += 1;
                continue;
            }
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(Step::Index(index));
            if index == 0 && self.reader.shape()? == Shape::Text {
                let quoted = self.reader.quoted()?;
                let name = self.name(quoted);
                let child = place.child(&name);
                named = match child {
                    Child::Known(place) => (Sensitivity::Clear, place),
                    Child::Chosen(place) => (self.names.judge(&name), place),
                };
                self.key(quoted, name, place, child);
            } else {
                self.judged(named.0, named.1, limit)?;
            }
            self.path.pop();
            index += 1;
        }
        if left_out > 0 {
            self.warn(WarningKind::LeftOut, format!("{left_out} of {} entries left out", index + left_out));
        }
        self.out.push(b']');
        Ok(())
    }

    /// Copies a list of which the first and the last stay when it is too long.
    pub(super) fn bounded_list(&mut self, place: Place) -> Result<(), ScrubError> {
        self.reader.open();
        self.out.push(b'[');
        let Some(bound) = place.list_bound() else { return self.list(place, self.out.len()) };
        let from = self.out.len();
        let element = place.element();
        let mut starts = Vec::new();
        while self.reader.next_element(starts.is_empty())? {
            if !starts.is_empty() {
                self.out.push(b',');
            }
            self.path.push(Step::Index(starts.len()));
            starts.push(self.out.len());
            self.value(element, self.out.len().saturating_add(element.tree_bytes_max()))?;
            self.path.pop();
        }
        if let Some((kept_head, kept_tail)) = bound.cut(&starts, from, self.out.len()) {
            let tail_from = starts.len() - kept_tail;
            self.out.drain(starts[kept_head]..starts[tail_from]);
            let detail = format!("entries {kept_head} to {} of {} left out", tail_from - 1, starts.len());
            self.warn(WarningKind::LeftOut, detail);
        }
        self.out.push(b']');
        Ok(())
    }
}

impl ListBound {
    /// How many elements stay at the head and at the tail; `None` where all do. `starts` are the elements' places
    /// in a list whose content lies from `from` to `end`.
    fn cut(self, starts: &[usize], from: usize, end: usize) -> Option<(usize, usize)> {
        let count = starts.len();
        if count <= self.head + self.tail && end - from <= self.bytes_max {
            return None;
        }
        let tail_bytes_max = if self.head == 0 { self.bytes_max } else { self.bytes_max / 2 };
        let fits = |start: &&usize| end - **start <= tail_bytes_max;
        let tail = starts.iter().rev().take(self.tail).take_while(fits).count().clamp(1, count.max(1));
        let head_bytes_max = self.bytes_max.saturating_sub(end - starts.get(count.checked_sub(tail)?)?);
        let ends = starts.iter().skip(1).map(|next| next - from);
        let head =
            ends.take(self.head.min(count - tail)).take_while(|bytes| *bytes <= head_bytes_max).count();
        (head + tail < count).then_some((head, tail))
    }
}
