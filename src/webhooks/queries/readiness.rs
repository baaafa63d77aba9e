//! Whether webhooks are ready: what somebody forgot, and what waits for somebody.

use crate::store::{Error, ReadTx, Row};
use crate::webhooks::rows::json;
use crate::webhooks::source::Definition;
use crate::webhooks::{DESTINATIONS_MAX, SOURCES_MAX};

/// What is set up, and what is not right with it, by keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub sources: usize,
    pub destinations: usize,
    /// They need a secret and have none: every call is refused.
    pub without_secret: Vec<String>,
    /// What comes is stored and goes nowhere.
    pub without_destination: Vec<String>,
    pub held: Vec<String>,
    /// Their breakers are not closed.
    pub resting: Vec<String>,
    /// Dead letters that nobody has dealt with, at most [`DEAD_MAX`].
    pub dead: u32,
}

/// Something to put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub text: String,
    pub cure: &'static str,
}

/// Of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    pub key: String,
    pub lacks_secret: bool,
    pub has_destination: bool,
}

/// Of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationFacts {
    pub key: String,
    pub is_held: bool,
    pub is_resting: bool,
}

/// More are not counted.
pub const DEAD_MAX: u32 = 1_000;
/// More keys are not named in one line.
const NAMED_MAX: usize = 5;

impl SourceFacts {
    /// What [`SourceFacts::of`] reads.
    pub const SQL: &str = "
        SELECT webhook_sources.key, webhook_sources.definition, webhook_sources.sealed IS NOT NULL,
               EXISTS (SELECT 1 FROM webhook_destinations WHERE source_id = webhook_sources.id)
        FROM webhook_sources CROSS JOIN projects ON projects.id = webhook_sources.project_id
        WHERE projects.archived_at IS NULL ORDER BY webhook_sources.key LIMIT ?1";

    /// # Errors
    /// Where the row is another.
    pub fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let definition: Definition = json(row, 1)?;
        Ok(Self {
            key: row.get(0)?,
            lacks_secret: definition.needs_secret() && !row.get::<_, bool>(2)?,
            has_destination: row.get(3)?,
        })
    }
}

impl DestinationFacts {
    /// What [`DestinationFacts::of`] reads.
    pub const SQL: &str = "
        SELECT d.key, d.held_at IS NOT NULL, coalesce(s.state <> 'closed', 0)
        FROM webhook_destinations AS d
        CROSS JOIN projects ON projects.id = d.project_id
        LEFT JOIN webhook_destination_states AS s ON s.destination_id = d.id
        WHERE projects.archived_at IS NULL ORDER BY d.key LIMIT ?1";

    /// # Errors
    /// Where the row is another.
    pub fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { key: row.get(0)?, is_held: row.get(1)?, is_resting: row.get(2)? })
    }
}

/// What is set up, as it is now.
///
/// # Errors
/// Where it cannot be read.
pub fn readiness(tx: &ReadTx<'_>) -> Result<Readiness, Error> {
    let sources = tx.all(SourceFacts::SQL, [SOURCES_MAX], SourceFacts::of)?;
    let destinations = tx.all(DestinationFacts::SQL, [DESTINATIONS_MAX], DestinationFacts::of)?;
    let dead = tx.one(Readiness::DEAD_SQL, [DEAD_MAX], |row| row.get(0))?;
    Ok(Readiness::of(sources, destinations, dead))
}

impl Readiness {
    /// How many dead letters nobody has dealt with.
    pub const DEAD_SQL: &str = "
        SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_dead
                              WHERE status = 'dead_letter' AND settled_at IS NULL LIMIT ?1)";

    pub fn of(sources: Vec<SourceFacts>, destinations: Vec<DestinationFacts>, dead: u32) -> Self {
        let mut ready =
            Self { sources: sources.len(), destinations: destinations.len(), dead, ..Self::default() };
        for source in sources {
            if source.lacks_secret {
                ready.without_secret.push(source.key.clone());
            }
            if !source.has_destination {
                ready.without_destination.push(source.key);
            }
        }
        for destination in destinations {
            if destination.is_held {
                ready.held.push(destination.key);
            } else if destination.is_resting {
                ready.resting.push(destination.key);
            }
        }
        ready
    }

    /// Of the sources.
    pub fn of_sources(&self) -> Vec<Trouble> {
        let (secretless, leading_nowhere) = (&self.without_secret, &self.without_destination);
        let told = [
            (
                secretless,
                "without a secret, so that every call is refused",
                "enter the signing secret that the provider shows, by the API or as `secrets` in the file that names the source",
            ),
            (
                leading_nowhere,
                "without a destination: what comes is stored and goes nowhere",
                "name where its events go, by the API or in a file",
            ),
        ];
        troubles(&told)
    }

    /// Of the destinations.
    pub fn of_destinations(&self) -> Vec<Trouble> {
        let told = [
            (
                &self.held,
                "held: nothing is sent, everything waits",
                "resume it once its app is ready (POST /api/v1/webhooks/destinations/KEY/resume)",
            ),
            (
                &self.resting,
                "rests, because its app fails: deliveries wait",
                "look at the app; tocsin tries again by itself",
            ),
        ];
        troubles(&told)
    }

    /// Of what died.
    pub fn of_dead(&self) -> Option<Trouble> {
        let count = match self.dead {
            0 => return None,
            1 => "1 dead letter waits".to_owned(),
            DEAD_MAX.. => format!("{DEAD_MAX} dead letters or more wait"),
            count => format!("{count} dead letters wait"),
        };
        let cure = "send them again or say that they are dealt with (GET /api/v1/webhooks/deliveries?status=dead_letter)";
        Some(Trouble { text: format!("{count} for somebody"), cure })
    }

    pub fn all(&self) -> Vec<Trouble> {
        self.of_sources().into_iter().chain(self.of_destinations()).chain(self.of_dead()).collect()
    }
}

fn troubles(told: &[(&Vec<String>, &str, &'static str)]) -> Vec<Trouble> {
    let told = told.iter().filter(|(keys, _, _)| !keys.is_empty());
    told.map(|(keys, what, cure)| Trouble { text: format!("{}: {what}", named(keys)), cure }).collect()
}

fn named(keys: &[String]) -> String {
    let shown = keys.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(key: &str, lacks_secret: bool, has_destination: bool) -> SourceFacts {
        SourceFacts { key: key.to_owned(), lacks_secret, has_destination }
    }

    #[test]
    fn each_trouble_is_told_with_its_cure_and_without_any_nothing() {
        let destination =
            |key: &str, is_held, is_resting| DestinationFacts { key: key.to_owned(), is_held, is_resting };
        let fine =
            Readiness::of(vec![source("stripe", false, true)], vec![destination("app", false, false)], 0);
        assert_eq!(fine.all(), []);
        let sources = vec![source("stripe", true, true), source("github", true, false)];
        let bad =
            Readiness::of(sources, vec![destination("a", true, true), destination("b", false, true)], 3);
        let told: Vec<String> = bad.all().into_iter().map(|trouble| trouble.text).collect();
        assert_eq!(
            told,
            [
                "stripe, github: without a secret, so that every call is refused",
                "github: without a destination: what comes is stored and goes nowhere",
                "a: held: nothing is sent, everything waits",
                "b: rests, because its app fails: deliveries wait",
                "3 dead letters wait for somebody",
            ]
        );
        assert!(bad.all().iter().all(|trouble| !trouble.cure.is_empty()));
    }

    #[test]
    fn many_are_not_all_named_and_not_all_counted() {
        let sources = (0..7).map(|n| source(&format!("s{n}"), false, false)).collect();
        let ready = Readiness::of(sources, Vec::new(), DEAD_MAX);
        let told: Vec<String> = ready.all().into_iter().map(|trouble| trouble.text).collect();
        assert!(told[0].starts_with("s0, s1, s2, s3, s4 and 2 more: "), "{told:?}");
        assert_eq!(told[1], "1000 dead letters or more wait for somebody");
    }
}
