//! Rows of `probe_points` and `probe_hours`, and letting go of what is old.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::{Point, pack, unpack};
use crate::base::Timestamp;
use crate::probes::ProbeId;
use crate::probes::judge::Reading;
use crate::store::{Error, ReadTx, WriteTx, params};

const HOUR: Duration = Duration::from_hours(1);
/// Hours that one question may ask for: a quarter.
const HOURS_MAX: u32 = 24 * 92;

/// What remains of an hour. Durations in microseconds, of good and slow readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hour {
    pub at: Timestamp,
    pub good: u32,
    pub slow: u32,
    pub bad: u32,
    pub blind: u32,
    pub p50_us: Option<i64>,
    pub p95_us: Option<i64>,
    pub max_us: Option<i64>,
}

/// Adds readings, in the order of time, to their hours. Nothing for a probe that was removed meanwhile.
///
/// # Errors
/// Where they cannot be written; then none is.
pub fn append(tx: &WriteTx<'_>, id: ProbeId, mut points: &[Point]) -> Result<(), Error> {
    let is_there: bool =
        tx.one("SELECT EXISTS (SELECT 1 FROM probes WHERE id = ?1)", [id.0], |row| row.get(0))?;
    while let Some(first) = points.first().filter(|_| is_there) {
        let hour = first.at.floor_to(HOUR);
        let within = points.partition_point(|point| point.at.floor_to(HOUR) <= hour);
        let (now, rest) = points.split_at(within);
        append_hour(tx, id, hour, now)?;
        points = rest;
    }
    Ok(())
}

fn append_hour(tx: &WriteTx<'_>, id: ProbeId, hour: Timestamp, points: &[Point]) -> Result<(), Error> {
    let before = tx.first(
        "SELECT points FROM probe_points WHERE probe_id = ?1 AND hour = ?2",
        params![id.0, hour.as_micros()],
        |row| row.get::<_, Vec<u8>>(0),
    )?;
    let whole = [before.unwrap_or_default(), pack(hour, points)].concat();
    tx.execute(
        "INSERT INTO probe_points (probe_id, hour, points) VALUES (?1, ?2, ?3)
         ON CONFLICT (probe_id, hour) DO UPDATE SET points = excluded.points",
        params![id.0, hour.as_micros(), whole],
    )?;
    let sum = Hour::of(hour, &unpack(hour, &whole));
    tx.execute(
        "INSERT OR REPLACE INTO probe_hours (probe_id, hour, good, slow, bad, blind, p50_us, p95_us, max_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            id.0,
            hour.as_micros(),
            sum.good,
            sum.slow,
            sum.bad,
            sum.blind,
            sum.p50_us,
            sum.p95_us,
            sum.max_us
        ],
    )?;
    Ok(())
}

/// Every reading from `from` to `to`, as far as it is kept: seven days, and some minutes behind.
pub fn points(tx: &ReadTx<'_>, id: ProbeId, from: Timestamp, to: Timestamp) -> Result<Vec<Point>, Error> {
    let rows = tx.all(
        "SELECT hour, points FROM probe_points WHERE probe_id = ?1 AND hour BETWEEN ?2 AND ?3
         ORDER BY hour LIMIT ?4",
        params![id.0, from.floor_to(HOUR).as_micros(), to.as_micros(), HOURS_MAX],
        |row| Ok((Timestamp::from_micros(row.get(0)?), row.get::<_, Vec<u8>>(1)?)),
    )?;
    let all = rows.iter().flat_map(|(hour, packed)| unpack(*hour, packed));
    Ok(all.filter(|point| (from..=to).contains(&point.at)).collect())
}

/// As [`points`], of several probes with one question: for lists.
pub fn points_of(
    tx: &ReadTx<'_>,
    ids: &[ProbeId],
    from: Timestamp,
    to: Timestamp,
) -> Result<HashMap<ProbeId, Vec<Point>>, Error> {
    let listed: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
    let rows = tx.all(
        &format!(
            "SELECT probe_id, hour, points FROM probe_points
             WHERE probe_id IN ({}) AND hour BETWEEN ?1 AND ?2 ORDER BY probe_id, hour LIMIT ?3",
            listed.join(", ")
        ),
        params![from.floor_to(HOUR).as_micros(), to.as_micros(), HOURS_MAX],
        |row| {
            let hour = Timestamp::from_micros(row.get(1)?);
            Ok((ProbeId(row.get(0)?), unpack(hour, row.get_ref(2)?.as_blob()?)))
        },
    )?;
    let mut found: HashMap<ProbeId, Vec<Point>> = HashMap::new();
    for (id, points) in rows {
        let within = points.into_iter().filter(|point| (from..=to).contains(&point.at));
        found.entry(id).or_default().extend(within);
    }
    Ok(found)
}

/// Counts and latencies by the hour, from `from` to `to`, the oldest first; at most a quarter of a year.
pub fn hours(tx: &ReadTx<'_>, id: ProbeId, from: Timestamp, to: Timestamp) -> Result<Vec<Hour>, Error> {
    tx.all(
        "SELECT hour, good, slow, bad, blind, p50_us, p95_us, max_us FROM probe_hours
         WHERE probe_id = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour LIMIT ?4",
        params![id.0, from.floor_to(HOUR).as_micros(), to.as_micros(), HOURS_MAX],
        |row| {
            Ok(Hour {
                at: Timestamp::from_micros(row.get(0)?),
                good: row.get(1)?,
                slow: row.get(2)?,
                bad: row.get(3)?,
                blind: row.get(4)?,
                p50_us: row.get(5)?,
                p95_us: row.get(6)?,
                max_us: row.get(7)?,
            })
        },
    )
}

/// Removes points of hours before `before`, oldest first, at most `limit` rows.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM probe_points WHERE (probe_id, hour) IN
             (SELECT probe_id, hour FROM probe_points WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        params![before.floor_to(HOUR).as_micros(), limit],
    )
}

/// As [`purge`], for what remained of the hours.
pub fn purge_hours(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM probe_hours WHERE (probe_id, hour) IN
             (SELECT probe_id, hour FROM probe_hours WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        params![before.floor_to(HOUR).as_micros(), limit],
    )
}

/// As [`purge`], for changes of status. The last one before `before` of each probe stays: it says how the probe was from
/// then on.
pub fn purge_changes(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM probe_changes WHERE id IN (
             SELECT old.id FROM probe_changes AS old WHERE old.at < ?1
               AND EXISTS (SELECT 1 FROM probe_changes AS newer
                           WHERE newer.probe_id = old.probe_id AND newer.at > old.at AND newer.at < ?1)
             ORDER BY old.at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

impl Hour {
    /// The sum of an hour's readings.
    pub fn of(at: Timestamp, points: &[Point]) -> Self {
        let mut hour = Self { at, ..Self::default() };
        for point in points {
            *match point.reading {
                Reading::Good => &mut hour.good,
                Reading::Slow => &mut hour.slow,
                Reading::Bad => &mut hour.bad,
                Reading::Blind => &mut hour.blind,
            } += 1;
        }
        let answered = points.iter().filter(|point| matches!(point.reading, Reading::Good | Reading::Slow));
        let mut took: Vec<Duration> = answered.map(|point| point.phases.total).collect();
        took.sort_unstable();
        let share = |percent: usize| {
            let at = (took.len() * percent).div_ceil(100).max(1) - 1;
            took.get(at).map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX))
        };
        (hour.p50_us, hour.p95_us, hour.max_us) = (share(50), share(95), share(100));
        hour
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::seen::Phases;

    #[test]
    fn an_hour_is_summed() {
        let at = Timestamp::from_secs(1_800_000_000);
        let point = |reading, millis| Point {
            at,
            reading,
            phases: Phases { total: Duration::from_millis(millis), ..Phases::default() },
        };
        let mut points: Vec<Point> = (1..=100).map(|millis| point(Reading::Good, millis)).collect();
        points.extend([point(Reading::Bad, 9_999), point(Reading::Blind, 9_999)]);
        let hour = Hour::of(at, &points);
        assert_eq!((hour.good, hour.slow, hour.bad, hour.blind), (100, 0, 1, 1));
        assert_eq!((hour.p50_us, hour.p95_us, hour.max_us), (Some(50_000), Some(95_000), Some(100_000)));
        assert_eq!(Hour::of(at, &[]).p50_us, None);
    }
}
