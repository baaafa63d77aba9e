//! Whether webhooks are ready: a line for those who call, one for where it goes, one for what died.

use rusqlite::Connection;

use super::parts::open;
use super::{Facts, Finding};
use crate::webhooks::queries::{DEAD_MAX, DestinationFacts, Readiness, SourceFacts, Trouble};
use crate::webhooks::{DESTINATIONS_MAX, SOURCES_MAX};

pub(super) fn sources(facts: &Facts) -> Finding {
    let ready = read(facts);
    judge(&ready.of_sources(), || counted(ready.sources, "source"))
}

pub(super) fn destinations(facts: &Facts) -> Finding {
    let ready = read(facts);
    judge(&ready.of_destinations(), || counted(ready.destinations, "destination"))
}

pub(super) fn dead_letters(facts: &Facts) -> Finding {
    let trouble: Vec<Trouble> = read(facts).of_dead().into_iter().collect();
    judge(&trouble, || "none".to_owned())
}

/// Nothing where it cannot be read, which `database` tells, or before the first start.
fn read(facts: &Facts) -> Readiness {
    open(facts).and_then(Result::ok).and_then(|connection| readiness(&connection).ok()).unwrap_or_default()
}

fn readiness(connection: &Connection) -> rusqlite::Result<Readiness> {
    let sources = connection
        .prepare(SourceFacts::SQL)?
        .query_map([SOURCES_MAX], SourceFacts::of)?
        .collect::<rusqlite::Result<_>>()?;
    let destinations = connection
        .prepare(DestinationFacts::SQL)?
        .query_map([DESTINATIONS_MAX], DestinationFacts::of)?
        .collect::<rusqlite::Result<_>>()?;
    let dead = connection.query_row(Readiness::DEAD_SQL, [DEAD_MAX], |row| row.get(0))?;
    Ok(Readiness::of(sources, destinations, dead))
}

fn judge(troubles: &[Trouble], fine: impl FnOnce() -> String) -> Finding {
    if troubles.is_empty() {
        return Finding::pass(fine());
    }
    let join = |part: fn(&Trouble) -> &str| troubles.iter().map(part).collect::<Vec<_>>().join("; ");
    Finding::warn(join(|trouble| &trouble.text), join(|trouble| trouble.cure))
}

fn counted(count: usize, word: &str) -> String {
    match count {
        0 => "none".to_owned(),
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}
