//! Points and lengths of time, as programs print them.

/// Walks over bytes, taking what fits and staying where it does not.
#[derive(Clone, Copy)]
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at.min(self.bytes.len())..]
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.rest().first() == Some(&wanted)).then(|| self.at += 1)
    }

    fn text(&mut self, wanted: &[u8]) -> Option<()> {
        self.rest().starts_with(wanted).then(|| self.at += wanted.len())
    }

    /// A number of `min..=max` digits, not followed by another one.
    fn digits(&mut self, min: usize, max: usize) -> Option<u32> {
        let rest = self.rest();
        let length = rest.iter().take(max + 1).take_while(|byte| byte.is_ascii_digit()).count();
        if !(min..=max).contains(&length) {
            return None;
        }
        self.at += length;
        Some(rest[..length].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    fn number(&mut self, digits: usize, range: std::ops::RangeInclusive<u32>) -> Option<()> {
        range.contains(&self.digits(1, digits)?).then_some(())
    }

    /// A name by its first three letters in any case, written out or not.
    fn name(&mut self, names: &[&[u8]]) -> Option<()> {
        let length = self.rest().iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = &self.rest()[..length];
        let known = names.iter().any(|name| {
            word.len() == 3 && name[..3].eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case(word)
        });
        known.then(|| self.at += length)
    }

    /// Tries `part`; without success everything stays as it was.
    fn maybe(&mut self, part: fn(&mut Self) -> Option<()>) {
        let mut ahead = *self;
        if part(&mut ahead).is_some() {
            *self = ahead;
        }
    }

    /// The end, if no letter or digit follows.
    fn end(self) -> Option<usize> {
        (!self.rest().first().is_some_and(u8::is_ascii_alphanumeric)).then_some(self.at)
    }
}

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];
const WEEKDAYS: [&[u8]; 7] =
    [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];

/// Dates that begin with a digit: ISO 8601, RFC 3339, `02 Jan 2006`, `02/Jan/2006:15:04:05`, `1/2/2006`, clocks.
pub(super) fn from_digit(bytes: &[u8], start: usize) -> Option<usize> {
    let separator = bytes[start..].iter().take(5).find(|byte| !byte.is_ascii_digit())?;
    let walk = Walk { bytes, at: start };
    match separator {
        b'-' | b'/' => iso(walk).or_else(|| day_month_year(walk)),
        b' ' => day_month_year(walk),
        b':' if start == 0 || bytes[start - 1] != b':' => {
            let mut walk = walk;
            clock(&mut walk)?;
            walk.end()
        }
        _ => None,
    }
}

/// Dates that begin with a name: `Mon, 02 Jan 2006 …`, `Mon Jan 2 2006 …`, `Jan 2 15:04:05`, `datetime.datetime(…)`.
pub(super) fn from_letter(bytes: &[u8], start: usize) -> Option<usize> {
    let mut walk = Walk { bytes, at: start };
    if bytes[start] == b'd' {
        return python(walk);
    }
    if !bytes[start].is_ascii_uppercase() {
        return None;
    }
    if walk.name(&WEEKDAYS).is_some() {
        walk.maybe(|walk| walk.byte(b','));
        walk.byte(b' ')?;
        return day_month_year(walk).or_else(|| month_day(walk));
    }
    month_day(walk)
}

fn iso(mut walk: Walk<'_>) -> Option<usize> {
    walk.digits(4, 4)?;
    let separator = *walk.rest().first()?;
    walk.byte(separator)?;
    walk.number(2, 1..=12)?;
    walk.byte(separator)?;
    walk.number(2, 1..=31)?;
    let mut timed = walk;
    let day_ends = walk.end();
    if matches!(timed.rest().first(), Some(b'T' | b't' | b' ' | b'_')) {
        timed.at += 1;
        if clock(&mut timed).is_some()
            && let Some(end) = timed.end()
        {
            return Some(end);
        }
    }
    day_ends
}

/// `15:04`, `15:04:05.000`, `3:04PM`, with a zone behind it or not.
fn clock(walk: &mut Walk<'_>) -> Option<()> {
    walk.number(2, 0..=23)?;
    walk.byte(b':')?;
    walk.digits(2, 2).filter(|minute| *minute < 60)?;
    walk.maybe(|walk| {
        walk.byte(b':')?;
        walk.digits(2, 2).filter(|second| *second <= 60)?;
        walk.maybe(|walk| {
            walk.byte(b'.').or_else(|| walk.byte(b','))?;
            walk.digits(1, 9).map(drop)
        });
        Some(())
    });
    walk.maybe(|walk| {
        walk.maybe(|walk| walk.byte(b' '));
        ["AM", "PM", "am", "pm"].iter().find_map(|half| walk.text(half.as_bytes()))
    });
    walk.maybe(zone);
    Some(())
}

fn zone(walk: &mut Walk<'_>) -> Option<()> {
    walk.maybe(|walk| walk.byte(b' '));
    let named = [
        &b"Z"[..],
        b"z",
        b"UTC",
        b"GMT",
        b"CEST",
        b"CET",
        b"MSK",
        b"EST",
        b"EDT",
        b"CST",
        b"CDT",
        b"MST",
        b"MDT",
        b"PST",
        b"PDT",
        b"BST",
        b"IST",
        b"JST",
    ]
    .iter()
    .find_map(|name| walk.text(name));
    let mut offset = *walk;
    let shifted = (|| {
        offset.byte(b'+').or_else(|| offset.byte(b'-'))?;
        offset.digits(4, 4).map(drop).or_else(|| {
            offset.digits(2, 2)?;
            offset.byte(b':')?;
            offset.digits(2, 2).map(drop)
        })
    })();
    if shifted.is_some() {
        *walk = offset;
    }
    walk.maybe(|walk| {
        walk.text(b" (")?;
        let length = walk.rest().iter().take(40).position(|byte| *byte == b')')?;
        let inside = &walk.rest()[..length];
        inside.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b' ').then(|| walk.at += length + 1)
    });
    named.or(shifted)
}

/// `02 Jan 2006 15:04:05 MST`, `02-Jan-06`, `02/Jan/2006:15:04:05 +0000`, `2/1/2006`.
fn day_month_year(mut walk: Walk<'_>) -> Option<usize> {
    walk.number(2, 1..=31)?;
    let separator = *walk.rest().first().filter(|byte| matches!(byte, b' ' | b'-' | b'/'))?;
    walk.byte(separator)?;
    if walk.name(&MONTHS).is_none() {
        if separator != b'/' {
            return None;
        }
        walk.number(2, 1..=31)?;
    }
    walk.byte(separator)?;
    walk.digits(4, 4).or_else(|| walk.digits(2, 2))?;
    walk.maybe(|walk| {
        walk.maybe(|walk| walk.byte(b','));
        walk.byte(b' ').or_else(|| walk.byte(b':'))?;
        clock(walk)
    });
    walk.end()
}

/// `Jan  2 15:04:05 2006`, `Jan 2 2006 15:04:05 GMT+0000 (…)`, `Jan 2, 2006`.
fn month_day(mut walk: Walk<'_>) -> Option<usize> {
    walk.name(&MONTHS)?;
    walk.byte(b' ')?;
    walk.maybe(|walk| walk.byte(b' '));
    walk.number(2, 1..=31)?;
    walk.maybe(|walk| walk.byte(b','));
    let day = walk.at;
    walk.maybe(|walk| {
        walk.byte(b' ')?;
        clock(walk)
    });
    walk.maybe(|walk| {
        walk.byte(b' ')?;
        walk.digits(4, 4).map(drop)
    });
    walk.maybe(|walk| {
        walk.byte(b' ')?;
        clock(walk)
    });
    if walk.at == day { None } else { walk.end() }
}

fn python(mut walk: Walk<'_>) -> Option<usize> {
    /// With microseconds and a time zone it is shorter.
    const CALL_BYTES_MAX: usize = 120;
    walk.text(b"datetime.datetime(").or_else(|| walk.text(b"datetime.date("))?;
    let length = walk.rest().iter().take(CALL_BYTES_MAX).position(|byte| *byte == b')')?;
    Some(walk.at + length + 1)
}

const GLUED_UNITS: [&str; 8] = ["ms", "ns", "us", "µs", "μs", "s", "m", "h"];
const SPACED_UNITS: [&str; 16] = [
    "ms",
    "sec",
    "secs",
    "second",
    "seconds",
    "min",
    "mins",
    "minute",
    "minutes",
    "hour",
    "hours",
    "days",
    "day",
    "milliseconds",
    "millisecond",
    "microseconds",
];

/// `250ms`, `1.5s`, `1h2m3s`, `30 seconds`.
pub(super) fn duration(bytes: &[u8], start: usize) -> Option<usize> {
    let mut walk = Walk { bytes, at: start };
    let mut glued_end = None;
    while let Some(after_number) = decimal(walk) {
        let rest = &bytes[after_number..];
        let Some(unit) = GLUED_UNITS.iter().find(|unit| rest.starts_with(unit.as_bytes())) else {
            return glued_end.or_else(|| spaced_unit(bytes, after_number));
        };
        walk.at = after_number + unit.len();
        glued_end = walk.end();
    }
    glued_end
}

fn decimal(mut walk: Walk<'_>) -> Option<usize> {
    walk.digits(1, 9)?;
    walk.maybe(|walk| {
        walk.byte(b'.')?;
        walk.digits(1, 9).map(drop)
    });
    Some(walk.at)
}

fn spaced_unit(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes[at..].strip_prefix(b" ")?;
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let is_unit = SPACED_UNITS.iter().any(|unit| unit.as_bytes() == &rest[..length]);
    let walk = Walk { bytes, at: at + 1 + length };
    if is_unit { walk.end() } else { None }
}
