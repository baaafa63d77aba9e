//! Blind time, laid over how something was: the one place that says what was seen of it. Pure.

use super::Spell;
use crate::base::Timestamp;

/// Times in which nothing could be seen, whatever the reason: in order, and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blind(Vec<Range>);

/// `to`: `None`, still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: Timestamp,
    to: Option<Timestamp>,
}

/// A time in which it was one and the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<S> {
    pub from: Timestamp,
    pub to: Timestamp,
    /// `None`: tocsin was blind.
    pub seen: Option<S>,
}

impl Blind {
    /// What overlaps or touches becomes one.
    pub fn of(spells: &[Spell]) -> Self {
        let mut all: Vec<Range> =
            spells.iter().map(|spell| Range { from: spell.began_at, to: spell.ended_at }).collect();
        all.retain(|range| range.to != Some(range.from));
        all.sort_unstable_by_key(|range| range.from);
        let mut apart: Vec<Range> = Vec::with_capacity(all.len());
        for range in all {
            match apart.last_mut().filter(|last| last.to.is_none_or(|end| range.from <= end)) {
                // Nothing is later than what still goes on.
                Some(last) => last.to = last.to.zip(range.to).map(|(one, other)| one.max(other)),
                None => apart.push(range),
            }
        }
        Self(apart)
    }

    /// The time from `from` to `to` in pieces. `turns` say from when on it was how, the oldest first; before the first
    /// nothing is known, and no piece stands for it. Walks once along both.
    pub fn cut<S: Copy>(
        &self,
        turns: impl IntoIterator<Item = (Timestamp, S)>,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Piece<S>> {
        let mut pieces = Vec::new();
        let mut turns = turns.into_iter().peekable();
        let mut ranges = self.0.as_slice();
        while let Some((at, state)) = turns.next() {
            let end = turns.peek().map_or(to, |next| next.0).min(to);
            let mut begin = at.max(from);
            while begin < end {
                while let [first, rest @ ..] = ranges
                    && first.to.is_some_and(|over| over <= begin)
                {
                    ranges = rest;
                }
                let (seen, until) = match ranges.first() {
                    Some(range) if range.from <= begin => (None, range.to),
                    next => (Some(state), next.map(|range| range.from)),
                };
                let until = until.map_or(end, |until| until.min(end));
                pieces.push(Piece { from: begin, to: until, seen });
                begin = until;
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::vigil::Blindness;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + second)
    }

    fn spell(began: i64, ended: Option<i64>) -> Spell {
        Spell { reason: Blindness::Down, began_at: at(began), ended_at: ended.map(at), detail: String::new() }
    }

    #[test]
    fn what_overlaps_is_blind_once_and_what_goes_on_has_no_end() {
        let blind = Blind::of(&[
            spell(5, Some(20)),
            spell(-10, Some(10)),
            spell(20, Some(25)),
            spell(30, Some(30)),
            spell(50, None),
            spell(60, Some(70)),
        ]);
        let pieces = blind.cut([(at(0), 'a'), (at(22), 'b')], at(-5), at(90));
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.from.since(at(0)).as_secs(), piece.to.since(at(0)).as_secs(), piece.seen))
            .collect();
        assert_eq!(pieces, [(0, 22, None), (22, 25, None), (25, 50, Some('b')), (50, 90, None)]);
        assert_eq!(Blind::default().cut([(at(5), 'a')], at(0), at(4)), [], "it begins after it");
    }

    proptest! {
        /// Second by second it says what looking at every turn and every spell says.
        #[test]
        fn every_second_is_as_a_look_at_all_of_them_says(
            mut turns in prop::collection::vec((0_i64..120, 0_u8..4), 0..12),
            spells in prop::collection::vec((0_i64..120, prop::option::of(0_i64..40)), 0..12),
        ) {
            turns.sort_by_key(|(second, _)| *second);
            let spells: Vec<_> =
                spells.iter().map(|(from, long)| spell(*from, long.map(|long| from + long))).collect();
            let pieces =
                Blind::of(&spells).cut(turns.iter().map(|(second, state)| (at(*second), *state)), at(10), at(100));
            for second in 10..100 {
                let now = at(second);
                let is_blind =
                    spells.iter().any(|spell| spell.began_at <= now && spell.ended_at.is_none_or(|end| now < end));
                let known = turns.iter().rev().find(|(turned, _)| at(*turned) <= now);
                let expected = known.map(|(_, state)| (!is_blind).then_some(*state));
                let mut within = pieces.iter().filter(|piece| piece.from <= now && now < piece.to);
                prop_assert_eq!(within.next().map(|piece| piece.seen), expected, "second {}", second);
                prop_assert!(within.next().is_none());
            }
            prop_assert!(pieces.iter().all(|piece| piece.from < piece.to));
        }

        #[test]
        fn it_grows_by_what_there_is_and_not_by_its_square(turns in 1_u32..2_000, spells in 1_u32..2_000) {
            let all: Vec<_> =
                (0..i64::from(spells)).map(|n| spell(n * 7, Some(n * 7 + 2))).collect();
            let changes = (0..turns).map(|n| (at(0) + n * Duration::from_secs(5), n));
            let pieces = Blind::of(&all).cut(changes, at(0), at(14_000));
            prop_assert!(pieces.len() <= (turns + 2 * spells + 1) as usize);
        }
    }
}
