//! How a post goes on while its incident does: with the services that it names. The incident may be about others as well,
//! and go on when these are well.

use std::time::Duration;

use super::posts::{self, Impact, Scope, Stage};
use super::{Error, Shown, words};
use crate::base::Timestamp;
use crate::store::columns::word;
use crate::store::{self, ReadTx, WriteTx, params};

/// What is to become of a post.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its services are well, or are bad again.
    Say { post: i64, stage: Stage, text: &'static str },
    /// Services became bad that it does not name, or others of its services are bad than its title says.
    Turn { post: i64, stage: Stage, text: String, scope: Scope },
    /// None of its services is shown any more.
    Withdraw { post: i64 },
}

/// A post whose incident is not over.
struct Going {
    post: i64,
    stage: Stage,
    title: String,
    impact: Impact,
    services: Vec<String>,
    /// Nobody wrote on it after us.
    is_ours: bool,
    /// The last update.
    said_at: Timestamp,
    /// What fires in its incident.
    keys: Vec<String>,
}

/// Posts of incidents that go on; the page lists as many.
const POSTS_MAX: i64 = 400;
/// Services that come and go make no news of each time.
const TURN_PAUSE: Duration = Duration::from_mins(5);

pub(super) fn find_steps(
    tx: &ReadTx<'_>,
    now: Timestamp,
    shown: &[Shown],
) -> Result<Vec<Step>, store::Error> {
    Ok(find_going(tx)?.iter().filter_map(|going| going.step(now, shown)).collect())
}

pub(super) fn take(tx: &WriteTx<'_>, now: Timestamp, step: &Step, author: &str) -> Result<(), Error> {
    match step {
        Step::Say { post, stage, text } => posts::say(tx, now, *post, (*stage, text), author)?,
        Step::Turn { post, stage, text, scope } => {
            posts::turn(tx, *post, scope)?;
            posts::say(tx, now, *post, (*stage, text), author)?;
        }
        Step::Withdraw { post } => {
            posts::say(tx, now, *post, (Stage::Resolved, "It is not shown here any more."), author)?;
            posts::withdraw(tx, *post)?;
        }
    }
    Ok(())
}

impl Going {
    fn step(&self, now: Timestamp, shown: &[Shown]) -> Option<Step> {
        let is_over = self.stage == Stage::Resolved;
        // Who said that it is over knows better.
        if (is_over && !self.is_ours) || self.services.is_empty() {
            return None;
        }
        let names = |one: &&Shown| self.services.contains(&one.service);
        let named: Vec<&Shown> = shown.iter().filter(names).collect();
        let added: Vec<&Shown> = shown.iter().filter(|one| self.hits(one) && !names(one)).collect();
        let post = self.post;
        if !added.is_empty() {
            return Some(self.widen(&named, &added));
        }
        if is_over {
            let (stage, text) = (Stage::Investigating, "It does not work again. We are looking into it.");
            return named.iter().any(|one| self.hits(one)).then_some(Step::Say { post, stage, text });
        }
        if named.is_empty() {
            return Some(Step::Withdraw { post });
        }
        if named.iter().all(|one| one.is_well) {
            return Some(Step::Say { post, stage: Stage::Resolved, text: "It works again." });
        }
        (now.since(self.said_at) >= TURN_PAUSE).then(|| self.turn(&named)).flatten()
    }

    /// Some are well again, or others are bad by now. A title that somebody wrote stays, and of what is not seen nothing
    /// is said.
    fn turn(&self, named: &[&Shown]) -> Option<Step> {
        let ill: Vec<&Shown> = named.iter().copied().filter(|one| one.impact != Impact::None).collect();
        let title = words::title(&ill);
        if ill.is_empty() || title == self.title || !words::is_ours(&self.title, named) {
            return None;
        }
        let text = format!("{title}.{}{}", words::beside(&ill), words::well(named));
        let impact = ill.iter().map(|one| one.impact).max().unwrap_or(self.impact);
        let scope = Scope { services: self.services.clone(), title, impact };
        Some(Step::Turn { post: self.post, stage: self.stage, text, scope })
    }

    /// Whether strangers notice of a service what its incident is about.
    fn hits(&self, one: &Shown) -> bool {
        one.impact != Impact::None && one.keys.iter().any(|key| self.keys.contains(key))
    }

    fn widen(&self, named: &[&Shown], added: &[&Shown]) -> Step {
        let worst = added.iter().map(|one| one.impact).max().unwrap_or(Impact::Minor);
        let is_over = self.stage == Stage::Resolved;
        let impact = if is_over { worst } else { worst.max(self.impact) };
        let all: Vec<&Shown> = if is_over { Vec::new() } else { named.to_vec() };
        let all: Vec<&Shown> = all.into_iter().chain(added.iter().copied()).collect();
        // A title that somebody wrote stays.
        let title = if is_over || words::is_ours(&self.title, named) {
            words::title(&all)
        } else {
            self.title.clone()
        };
        let stage = if is_over { Stage::Investigating } else { self.stage };
        let text = format!("{}.{} We are looking into it.", words::title(added), words::beside(added));
        let services = self.services.iter().cloned().chain(added.iter().map(|one| one.service.clone()));
        Step::Turn {
            post: self.post,
            stage,
            text,
            scope: Scope { services: services.collect(), title, impact },
        }
    }
}

fn find_going(tx: &ReadTx<'_>) -> Result<Vec<Going>, store::Error> {
    tx.all(
        "SELECT p.id, p.state, p.title, p.impact, p.services,
                ifnull((SELECT u.author = ?1 FROM status_updates u WHERE u.post_id = p.id
                        ORDER BY u.at DESC, u.id DESC LIMIT 1), 0),
                (SELECT json_group_array(w.key) FROM witnesses w
                 WHERE w.incident_id = i.id AND w.live = 1 AND w.state = 'firing'),
                ifnull((SELECT max(u.at) FROM status_updates u WHERE u.post_id = p.id), p.began_at)
         FROM status_posts p JOIN incidents i ON i.uid = p.incident
         WHERE i.state <> 'resolved' AND p.removed_at IS NULL ORDER BY p.id DESC LIMIT ?2",
        params![super::follow::AUTHOR, POSTS_MAX],
        |row| {
            let list = |at| -> rusqlite::Result<Vec<String>> {
                Ok(serde_json::from_str(row.get_ref(at)?.as_str()?).unwrap_or_default())
            };
            Ok(Going {
                post: row.get(0)?,
                stage: word(row, 1, Stage::parse)?,
                title: row.get(2)?,
                impact: word(row, 3, Impact::parse)?,
                services: list(4)?,
                is_ours: row.get(5)?,
                keys: list(6)?,
                said_at: Timestamp::from_micros(row.get(7)?),
            })
        },
    )
}
