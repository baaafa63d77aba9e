//! How a post goes on while its incident does: with the services that it names. The incident may be about others as well,
//! and go on when these are well.

use super::posts::{self, Impact, Stage, Wider};
use super::{Error, Shown, words};
use crate::base::Timestamp;
use crate::store::columns::word;
use crate::store::{self, ReadTx, WriteTx, params};

/// What is to become of a post.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its services are well, or are bad again.
    Say { post: i64, stage: Stage, text: &'static str },
    /// Services became bad that it does not name.
    Widen { post: i64, stage: Stage, text: String, wider: Wider },
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
    /// What fires in its incident.
    keys: Vec<String>,
}

/// Posts of incidents that go on; the page lists as many.
const POSTS_MAX: i64 = 400;

pub(super) fn find_steps(tx: &ReadTx<'_>, shown: &[Shown]) -> Result<Vec<Step>, store::Error> {
    Ok(find_going(tx)?.iter().filter_map(|going| going.step(shown)).collect())
}

pub(super) fn take(tx: &WriteTx<'_>, now: Timestamp, step: &Step, author: &str) -> Result<(), Error> {
    match step {
        Step::Say { post, stage, text } => posts::say(tx, now, *post, (*stage, text), author)?,
        Step::Widen { post, stage, text, wider } => {
            posts::widen(tx, *post, wider)?;
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
    fn step(&self, shown: &[Shown]) -> Option<Step> {
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
        let (stage, text) = (Stage::Resolved, "It works again.");
        named.iter().all(|one| one.is_well).then_some(Step::Say { post, stage, text })
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
        Step::Widen {
            post: self.post,
            stage,
            text,
            wider: Wider { services: services.collect(), title, impact },
        }
    }
}

fn find_going(tx: &ReadTx<'_>) -> Result<Vec<Going>, store::Error> {
    tx.all(
        "SELECT p.id, p.state, p.title, p.impact, p.services,
                ifnull((SELECT u.author = ?1 FROM status_updates u WHERE u.post_id = p.id
                        ORDER BY u.at DESC, u.id DESC LIMIT 1), 0),
                (SELECT json_group_array(w.key) FROM witnesses w
                 WHERE w.incident_id = i.id AND w.live = 1 AND w.state = 'firing')
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
            })
        },
    )
}
