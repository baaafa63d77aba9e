//! The ledger: what was not kept, why, and how much on which day.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::frame::{Frame, Place, page};
use super::wording::count;
use crate::accounts::{Visible, projects};
use crate::base::Timestamp;
use crate::http::auth::{SignedIn, find_project};
use crate::http::visible::ledger_projects;
use crate::http::{AppState, Problem};
use crate::ledger::{self, Day, Reason};

#[derive(Template)]
#[template(path = "ledger.html", config = "src/http/admin/askama.toml")]
struct LedgerPage {
    frame: Frame,
    headline: String,
    days: i64,
    project: String,
    projects: Vec<(String, String)>,
    rows: Vec<Row>,
    /// The days of the plots, as a table for who cannot see them.
    dates: Vec<String>,
}

struct Row {
    word: String,
    explains: &'static str,
    /// Needs somebody: something that was wanted got lost.
    is_loss: bool,
    total: String,
    sum: i64,
    categories: Vec<(String, String)>,
    per_day: Vec<i64>,
    bars: Vec<Bar>,
}

/// A column of a plot whose box is 100 high and 10 wide per day.
struct Bar {
    x: usize,
    y: i64,
    height: i64,
    title: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    days: Option<String>,
}

const SECONDS_PER_DAY: i64 = 86_400;

/// `GET /ledger`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (asked, now) = (asked.into_inner(), state.clock.now());
    let days = if asked.days.as_deref() == Some("30") { 30 } else { 7 };
    let rendered = state
        .store
        .read(move |tx| {
            let all = signed_in.session.actor().visible();
            let named = asked.project.filter(|slug| !slug.is_empty());
            let visible = match &named {
                Some(slug) => Visible::Only(vec![find_project(tx, &all, slug)?.id]),
                None => all.clone(),
            };
            let first = first_day(now, days);
            let lines = ledger::daily(
                tx,
                &ledger_projects(tx, &visible)?,
                Timestamp::from_secs(first * SECONDS_PER_DAY),
            )?;
            let rows = rows(&lines, first, days);
            Ok::<_, Problem>(LedgerPage {
                frame: Frame::load(tx, &signed_in, Place::Ledger)?,
                headline: headline(rows.iter().map(|row| row.sum).sum(), days),
                days,
                project: named.unwrap_or_default(),
                projects: projects::list(tx, &all)?
                    .into_iter()
                    .map(|project| (project.slug.to_string(), project.name))
                    .collect(),
                dates: (first..first + days).map(date).collect(),
                rows,
            })
        })
        .await?;
    page(&rendered)
}

fn first_day(now: Timestamp, days: i64) -> i64 {
    now.as_secs().div_euclid(SECONDS_PER_DAY) - days + 1
}

fn date(day: i64) -> String {
    Timestamp::from_secs(day * SECONDS_PER_DAY).to_chrono().format("%-d %b").to_string()
}

fn headline(total: i64, days: i64) -> String {
    match total {
        0 => format!("Everything of the last {days} days was kept"),
        1 => format!("One thing was not kept in the last {days} days"),
        _ => format!("{} things were not kept in the last {days} days", count(total)),
    }
}

/// One row per reason, the greatest first.
fn rows(lines: &[Day], first: i64, days: i64) -> Vec<Row> {
    let mut reasons: Vec<Reason> = lines.iter().map(|day| day.line.reason).collect();
    reasons.sort_unstable_by_key(ToString::to_string);
    reasons.dedup();
    let mut rows: Vec<Row> = reasons.into_iter().map(|reason| row(reason, lines, first, days)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sum));
    rows
}

fn row(reason: Reason, lines: &[Day], first: i64, days: i64) -> Row {
    let of_reason = || lines.iter().filter(move |day| day.line.reason == reason);
    let quantity = |day: &Day| i64::try_from(day.line.quantity).unwrap_or(i64::MAX);
    let mut categories: Vec<(String, i64)> = Vec::new();
    for day in of_reason() {
        let name = day.line.category.as_str().replace('_', " ");
        match categories.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(quantity(day)),
            None => categories.push((name, quantity(day))),
        }
    }
    categories.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    let per_day: Vec<i64> = (first..first + days)
        .map(|at| {
            of_reason().filter(|day| day.day == at).fold(0, |sum: i64, day| sum.saturating_add(quantity(day)))
        })
        .collect();
    let sum = per_day.iter().fold(0, |sum: i64, day| sum.saturating_add(*day));
    let (explains, is_loss) = explain(reason);
    Row {
        word: reason.to_string().replace("client:", "SDK: ").replace('_', " "),
        explains,
        is_loss,
        total: count(sum),
        sum,
        bars: bars(&per_day, first),
        per_day,
        categories: categories.into_iter().map(|(name, sum)| (name, count(sum))).collect(),
    }
}

fn bars(per_day: &[i64], first: i64) -> Vec<Bar> {
    const FULL: i64 = 100;
    let most = per_day.iter().copied().max().unwrap_or(0).max(1);
    (first..)
        .zip(per_day)
        .enumerate()
        .filter(|(_, (_, quantity))| **quantity > 0)
        .map(|(at, (day, quantity))| {
            // A day with little is still seen.
            let height = (quantity.saturating_mul(FULL) / most).max(4);
            Bar {
                x: at * 10,
                y: FULL - height,
                height,
                title: format!("{}: {}", date(day), count(*quantity)),
            }
        })
        .collect()
}

/// What a reason means and what to do about it; whether something wanted got lost.
const fn explain(reason: Reason) -> (&'static str, bool) {
    match reason {
        Reason::Filtered => ("A filter that somebody set refused it.", false),
        Reason::Sampled => (
            "Counted in its issue. The payload was not stored, because the issue has enough of them that day.",
            false,
        ),
        Reason::Evicted => (
            "The payload was removed to stay inside the byte budget; its issue keeps the count. To keep more, raise retention.max_gb.",
            false,
        ),
        Reason::OverLimit => (
            "The key's quota of events per minute was used up. The SDK was told to wait. Raise the quota of the key if this is wanted traffic.",
            true,
        ),
        Reason::NotSupportedYet => {
            ("tocsin does not understand this kind of item yet. The SDK was told to stop sending it.", false)
        }
        Reason::Invalid => ("It could not be read. The answer said why; the app's own log has it.", true),
        Reason::TooLarge => ("It was larger than what is taken. The answer said how large it may be.", true),
        Reason::Duplicate => ("The same id came before, so it was counted once.", false),
        Reason::Busy => (
            "Too much was waiting, so it was refused before the write, and the sender was asked to come back.",
            true,
        ),
        Reason::UnknownKey => ("The key is unknown or revoked. An app may still carry an old DSN.", true),
        Reason::Client(_) => ("The SDK dropped it before sending, and said so in a client report.", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Category, Line};

    fn day(day: i64, reason: Reason, category: Category, quantity: u64) -> Day {
        Day { day, line: Line { reason, category, quantity } }
    }

    #[test]
    fn rows_are_summed_per_reason_and_day_and_the_greatest_stands_first() {
        let lines = [
            day(10, Reason::Duplicate, Category::Error, 3),
            day(10, Reason::Sampled, Category::Error, 40),
            day(12, Reason::Sampled, Category::Error, 20),
            day(12, Reason::Sampled, Category::Transaction, 60),
        ];
        let rows = rows(&lines, 10, 3);
        let shown: Vec<_> = rows.iter().map(|row| (row.word.as_str(), row.per_day.clone())).collect();
        assert_eq!(shown, [("sampled", vec![40, 0, 80]), ("duplicate", vec![3, 0, 0])]);
        assert_eq!(
            rows[0].categories,
            [("error".to_owned(), "60".to_owned()), ("transaction".to_owned(), "60".to_owned())]
        );
        assert_eq!(rows[0].bars.iter().map(|bar| bar.height).collect::<Vec<_>>(), [50, 100]);
    }

    #[test]
    fn the_headline_counts() {
        assert_eq!(headline(0, 7), "Everything of the last 7 days was kept");
        assert_eq!(headline(1204, 30), "1,204 things were not kept in the last 30 days");
    }
}
