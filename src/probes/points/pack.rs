//! How points lie on disk. Chunks follow each other; each holds what was seen between two writes:
//!
//! ```text
//! chunk = version (1) · count · offset · point*          numbers are LEB128
//! point = head · total · phase*                          a byte each; in between `gap`, the time since the one before
//! head  = reading in bits 0–1, which phases follow in bits 2–6: dns, connect, tls, answer, transfer
//! ```
//!
//! `offset` and `gap` count tenths of a second, the offset from the hour's start. A duration is one byte on a logarithmic
//! scale from 1 µs to 93 s, 32 steps a decade: a plot shows no more, and 5,000 probes every 30 s take a week 0.8 GB.

use std::sync::LazyLock;
use std::time::Duration;

use super::Point;
use crate::base::Timestamp;
use crate::probes::judge::Reading;
use crate::probes::seen::Phases;

const VERSION: u8 = 1;
const TICK: Duration = Duration::from_millis(100);
const STEPS_PER_DECADE: f64 = 32.0;
/// A chunk that claims more is damaged.
const COUNT_MAX: u64 = 100_000;

/// The duration that each byte stands for.
static SCALE: LazyLock<[Duration; 256]> = LazyLock::new(|| {
    let mut step = -1.0;
    [(); 256].map(|()| {
        step += 1.0;
        Duration::from_secs_f64(1e-6 * 10_f64.powf(step / STEPS_PER_DECADE))
    })
});

/// Packs points of the hour that begins at `hour`, in the order of time, into one chunk.
pub fn pack(hour: Timestamp, points: &[Point]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + points.len() * 7);
    if points.is_empty() {
        return out;
    }
    out.push(VERSION);
    number(&mut out, u64::try_from(points.len()).unwrap_or(COUNT_MAX));
    let mut before = 0;
    for point in points {
        let tick = ticks(point.at.since(hour)).max(before);
        number(&mut out, tick - before);
        before = tick;
        let phases = phases(&point.phases);
        let mask = phases.iter().enumerate().map(|(at, phase)| u8::from(phase.is_some()) << (at + 2));
        out.push(mask.fold(reading_bits(point.reading), |head, bit| head | bit));
        out.push(code(point.phases.total));
        out.extend(phases.into_iter().flatten().map(code));
    }
    out
}

/// Reads what [`pack`] wrote, chunk after chunk, up to the first that is damaged.
pub fn unpack(hour: Timestamp, mut bytes: &[u8]) -> Vec<Point> {
    let mut points = Vec::new();
    while let Some(chunk) = unpack_chunk(hour, &mut bytes) {
        points.extend(chunk);
    }
    points
}

fn unpack_chunk(hour: Timestamp, bytes: &mut &[u8]) -> Option<Vec<Point>> {
    if take(bytes)? != VERSION {
        return None;
    }
    let count = read_number(bytes).filter(|count| *count <= COUNT_MAX)?;
    let (mut points, mut tick) = (Vec::new(), 0_u64);
    for _ in 0..count {
        tick = tick.checked_add(read_number(bytes)?)?;
        let head = take(bytes)?;
        let total = duration(take(bytes)?);
        let mut found = [None; 5];
        for (at, phase) in found.iter_mut().enumerate() {
            if head >> (at + 2) & 1 == 1 {
                *phase = Some(duration(take(bytes)?));
            }
        }
        let [dns, connect, tls, answer, transfer] = found;
        let phases = Phases { dns, connect, tls, answer, transfer, total };
        let at = hour + TICK * u32::try_from(tick).ok()?;
        points.push(Point { at, reading: reading(head), phases });
    }
    Some(points)
}

const fn phases(phases: &Phases) -> [Option<Duration>; 5] {
    [phases.dns, phases.connect, phases.tls, phases.answer, phases.transfer]
}

const fn reading_bits(reading: Reading) -> u8 {
    match reading {
        Reading::Good => 0,
        Reading::Slow => 1,
        Reading::Bad => 2,
        Reading::Blind => 3,
    }
}

const fn reading(head: u8) -> Reading {
    match head & 3 {
        0 => Reading::Good,
        1 => Reading::Slow,
        2 => Reading::Bad,
        _ => Reading::Blind,
    }
}

fn ticks(since: Duration) -> u64 {
    u64::try_from(since.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX)
}

/// The step that is nearest from above.
fn code(duration: Duration) -> u8 {
    u8::try_from(SCALE.partition_point(|step| *step < duration)).unwrap_or(u8::MAX)
}

fn duration(code: u8) -> Duration {
    SCALE[usize::from(code)]
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = take(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn a_point() -> impl Strategy<Value = (u64, u8, [Option<u64>; 5], u64)> {
        let micros = || prop::option::of(1_u64..90_000_000);
        (0..3_599_000_u64, 0..4_u8, [micros(), micros(), micros(), micros(), micros()], 1_u64..90_000_000)
    }

    fn near(one: Duration, other: Duration) -> bool {
        (one.as_secs_f64() / other.as_secs_f64() - 1.0).abs() < 0.08
    }

    proptest! {
        #[test]
        fn points_are_read_as_they_were_written(mut drawn in prop::collection::vec(a_point(), 0..200), cut in 0..200_usize) {
            drawn.sort_unstable();
            let points: Vec<Point> = drawn.into_iter().map(|(millis, bits, phases, total)| {
                let [dns, connect, tls, answer, transfer] = phases.map(|phase| phase.map(Duration::from_micros));
                let phases = Phases { dns, connect, tls, answer, transfer, total: Duration::from_micros(total) };
                Point { at: HOUR + Duration::from_millis(millis), reading: reading(bits), phases }
            }).collect();
            let (first, second) = points.split_at(cut.min(points.len()));
            let read = unpack(HOUR, &[pack(HOUR, first), pack(HOUR, second)].concat());
            prop_assert_eq!(read.len(), points.len());
            for (read, point) in read.iter().zip(&points) {
                prop_assert_eq!(read.reading, point.reading);
                prop_assert!(point.at.since(read.at) < TICK);
                prop_assert!(near(read.phases.total, point.phases.total));
                for (read, phase) in phases(&read.phases).iter().zip(phases(&point.phases)) {
                    let is_near = match (read, phase) {
                        (Some(read), Some(phase)) => near(*read, phase),
                        (read, phase) => read.is_none() && phase.is_none(),
                    };
                    prop_assert!(is_near);
                }
            }
        }

        #[test]
        fn damage_is_not_fatal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            unpack(HOUR, &bytes);
        }
    }
}
