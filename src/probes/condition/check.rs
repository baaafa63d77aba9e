//! Whether a condition holds, and the reason where it does not.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::Value as Json;

use super::facts::{Facts, Found, Tree, plain};
use super::value::Value;
use super::{Comparison, Expr, Step, Subject, Test, View};
use crate::base::text::clip;
use crate::base::{Timestamp, span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Holds,
    /// The reason, for an alarm: `status was 503, wanted < 300`. At most 300 characters.
    Fails(String),
}

impl Finding {
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

const REASON_CHARS_MAX: usize = 300;
/// A point in time that lies further ahead is of a clock or a zone that is wrong: nothing is known of its age.
const CLOCKS_DIFFER: Duration = Duration::from_mins(5);

/// Why something does not hold, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// It is otherwise.
    Fails(String),
    /// There is nothing to look at: its opposite does not hold either.
    Unseen(String),
}

impl Why {
    fn map(self, says: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Fails(reason) => Self::Fails(says(reason)),
            Self::Unseen(reason) => Self::Unseen(says(reason)),
        }
    }

    fn into_reason(self) -> String {
        match self {
            Self::Fails(reason) | Self::Unseen(reason) => reason,
        }
    }
}

pub(super) fn check(expr: &Expr, facts: &Facts) -> Finding {
    match judge(expr, facts) {
        Ok(()) => Finding::Holds,
        Err(why) => Finding::Fails(clip(&why.into_reason(), REASON_CHARS_MAX).into_owned()),
    }
}

fn judge(expr: &Expr, facts: &Facts) -> Result<(), Why> {
    match expr {
        Expr::All(parts) => all(parts, facts),
        Expr::Any(parts) => any(parts, facts),
        Expr::Not(inner) => match judge(inner, facts) {
            Ok(()) => Err(Why::Fails(format!("{} held, and must not", inner.says()))),
            Err(Why::Fails(_)) => Ok(()),
            Err(unseen @ Why::Unseen(_)) => Err(unseen),
        },
        Expr::Test { subject, test } => subject.judge(test, facts),
    }
}

/// What fails makes the whole fail, whatever of the rest was not seen.
fn all(parts: &[Expr], facts: &Facts) -> Result<(), Why> {
    let mut unseen = None;
    for part in parts {
        match judge(part, facts) {
            Ok(()) => {}
            Err(why @ Why::Fails(_)) => return Err(why),
            Err(why @ Why::Unseen(_)) => unseen = unseen.or(Some(why)),
        }
    }
    unseen.map_or(Ok(()), Err)
}

/// What holds is enough; otherwise it may be what was not seen that would.
fn any(parts: &[Expr], facts: &Facts) -> Result<(), Why> {
    let mut reasons = Vec::new();
    let mut has_unseen = false;
    for part in parts {
        match judge(part, facts) {
            Ok(()) => return Ok(()),
            Err(why) => {
                has_unseen |= matches!(why, Why::Unseen(_));
                reasons.push(why.into_reason());
            }
        }
    }
    let reason = reasons.join(", and ");
    Err(if has_unseen { Why::Unseen(reason) } else { Why::Fails(reason) })
}

/// What a subject came to.
enum Seen<'a> {
    Missing,
    Value(Value),
    /// A list or an object.
    Whole(&'a Json),
    Tree(&'a Tree),
    Many(Vec<&'a Json>),
}

impl Subject {
    fn judge(&self, test: &Test, facts: &Facts) -> Result<(), Why> {
        match (self.see(facts).map_err(Why::Unseen)?, self.view) {
            (Seen::Many(all), View::AllOf) => self.every(test, &all, facts),
            (Seen::Many(all), View::AnyOf) => self.some(test, &all, facts),
            (Seen::Many(all), _) if *test == Test::Exists => {
                if all.is_empty() {
                    Err(Why::Fails(self.is_missing()))
                } else {
                    Ok(())
                }
            }
            (seen, _) => self
                .one(test, &seen, facts)
                .map_err(|why| why.map(|reason| facts.explained(self.field, reason))),
        }
    }

    /// `Err`: there is something, of which this cannot be asked.
    fn see<'a>(&self, facts: &'a Facts) -> Result<Seen<'a>, String> {
        if let Some(why) = facts.untold(self.field) {
            return Err(why);
        }
        let seen = match (facts.tree(self.field), facts.get(self.field)) {
            (Some(tree), _) => self.see_below(tree)?,
            (None, Some(value)) => Seen::Value(value.clone()),
            (None, None) => Seen::Missing,
        };
        match (self.view, seen) {
            (_, Seen::Missing) => Ok(Seen::Missing),
            (View::Length, seen) => self.length(&seen),
            (View::Age, seen) => self.age(&seen, facts.now()),
            (View::Itself | View::AnyOf | View::AllOf, seen) => Ok(seen),
        }
    }

    fn see_below<'a>(&self, tree: &'a Tree) -> Result<Seen<'a>, String> {
        if self.steps.is_empty() {
            return Ok(Seen::Tree(tree));
        }
        match tree.find(&self.steps) {
            None => Err(format!("{} is no JSON", self.field)),
            Some(Found::Missing) => Ok(Seen::Missing),
            Some(Found::Many(all)) => Ok(Seen::Many(all)),
            Some(Found::One(json)) => Ok(plain(json).map_or(Seen::Whole(json), Seen::Value)),
        }
    }

    fn length(&self, seen: &Seen<'_>) -> Result<Seen<'static>, String> {
        let length = match seen {
            Seen::Tree(tree) => tree.length(),
            Seen::Many(all) => all.len(),
            Seen::Whole(Json::Array(items)) => items.len(),
            Seen::Whole(Json::Object(members)) => members.len(),
            Seen::Value(Value::Text(text)) => text.chars().count(),
            _ => return Err(format!("{} has no length", self.path())),
        };
        #[expect(clippy::cast_precision_loss, reason = "no body is that long")]
        Ok(Seen::Value(Value::plain(length as f64)))
    }

    fn age(&self, seen: &Seen<'_>, now: Timestamp) -> Result<Seen<'static>, String> {
        let since = match seen {
            Seen::Tree(tree) => Timestamp::parse_rfc3339(tree.as_str().trim()),
            Seen::Value(Value::Text(text)) => Timestamp::parse_rfc3339(text.trim()),
            Seen::Value(Value::Number(number, _)) => from_unix(*number),
            _ => None,
        };
        let since = since.ok_or_else(|| format!("{} is no point in time", self.path()))?;
        if since > now + CLOCKS_DIFFER {
            let ahead = span::format(Duration::from_secs(since.since(now).as_secs()));
            return Err(format!(
                "{} lies {ahead} in the future: look at the clock and the zone there",
                self.path()
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "exact to a microsecond for 285 years")]
        Ok(Seen::Value(Value::seconds((now.as_micros() - since.as_micros()) as f64 / 1e6)))
    }

    /// Of no values nothing is said, neither way.
    fn every(&self, test: &Test, all: &[&Json], facts: &Facts) -> Result<(), Why> {
        if all.is_empty() {
            return Err(Why::Unseen(self.is_missing()));
        }
        all.iter().try_for_each(|json| self.item(test, json, facts))
    }

    /// Of no values none does.
    fn some(&self, test: &Test, all: &[&Json], facts: &Facts) -> Result<(), Why> {
        if all.iter().any(|json| self.item(test, json, facts).is_ok()) {
            return Ok(());
        }
        match all {
            [] => Err(Why::Fails(self.is_missing())),
            [one] => self.item(test, one, facts),
            all => {
                Err(Why::Fails(format!("none of {} values of {} {}", all.len(), self.path(), test.says())))
            }
        }
    }

    fn item(&self, test: &Test, json: &Json, facts: &Facts) -> Result<(), Why> {
        self.one(test, &plain(json).map_or(Seen::Whole(json), Seen::Value), facts)
    }

    fn one(&self, test: &Test, seen: &Seen<'_>, facts: &Facts) -> Result<(), Why> {
        let was = match seen {
            // That it is not there was seen.
            Seen::Missing if *test == Test::Exists => return Err(Why::Fails(self.is_missing())),
            Seen::Missing => return Err(Why::Unseen(self.is_missing())),
            _ if *test == Test::Exists => return Ok(()),
            Seen::Many(_) | Seen::Whole(_) => {
                let held =
                    matches!((test, seen), (Test::Contains(wanted), Seen::Whole(json)) if has(json, wanted));
                return if held {
                    Ok(())
                } else {
                    let says = test.says();
                    Err(Why::Fails(format!("{} is a list or an object, wanted {says}", self.path())))
                };
            }
            Seen::Tree(tree) => &Value::Text(tree.as_str().trim().to_owned()),
            Seen::Value(value) => value,
        };
        if test.holds(was) {
            Ok(())
        } else {
            let shown = facts.show(self.name(), was);
            Err(Why::Fails(format!("{} was {shown}, wanted {}", self.says(), test.says())))
        }
    }

    fn is_missing(&self) -> String {
        format!("{} was not there", self.path())
    }

    /// What the value is called where it was found.
    fn name(&self) -> &str {
        let mut keys = self.steps.iter().rev().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::At(_) | Step::Each => None,
        });
        keys.next().unwrap_or(self.field)
    }

    fn path(&self) -> String {
        self.steps.iter().fold(self.field.to_owned(), |path, step| match step {
            Step::Key(key) => format!("{path}.{key}"),
            Step::At(index) => format!("{path}[{index}]"),
            Step::Each => format!("{path}[*]"),
        })
    }

    fn says(&self) -> String {
        match self.view {
            View::Length => format!("the length of {}", self.path()),
            View::Age => format!("the age of {}", self.path()),
            View::Itself | View::AnyOf | View::AllOf => self.path(),
        }
    }
}

impl Expr {
    fn says(&self) -> String {
        match self {
            Self::Test { subject, test: Test::IsTrue } => subject.says(),
            Self::Test { subject, test } => format!("{} {}", subject.says(), test.says()),
            Self::Not(inner) => format!("not ({})", inner.says()),
            Self::All(parts) => parts.iter().map(Self::says).collect::<Vec<_>>().join(" and "),
            Self::Any(parts) => parts.iter().map(Self::says).collect::<Vec<_>>().join(" or "),
        }
    }
}

impl Test {
    fn holds(&self, was: &Value) -> bool {
        match self {
            Self::Compare(comparison, wanted) => comparison.holds(was.compare(wanted)),
            Self::Contains(wanted) => matches!(was, Value::Text(text) if text.contains(&plain_text(wanted))),
            Self::Matches(pattern) => matches(pattern, &plain_text(was)),
            Self::In(list) => list.iter().any(|wanted| was.compare(wanted) == Some(Ordering::Equal)),
            Self::Exists => true,
            Self::IsTrue => was.compare(&Value::Flag(true)) == Some(Ordering::Equal),
        }
    }

    fn says(&self) -> String {
        match self {
            Self::Compare(comparison, wanted) => format!("{} {wanted}", comparison.says()),
            Self::Contains(wanted) => format!("contains {wanted}"),
            Self::Matches(pattern) => format!("matches {pattern:?}"),
            Self::In(list) => {
                let list: Vec<String> = list.iter().map(Value::to_string).collect();
                format!("in ({})", list.join(", "))
            }
            Self::Exists => "exists".to_owned(),
            Self::IsTrue => "true".to_owned(),
        }
    }
}

impl Comparison {
    /// Values that cannot be compared are unequal, and nothing else.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match (self, ordering) {
            (Self::Unequal, None) => true,
            (_, None) => false,
            (Self::Equal, Some(ordering)) => ordering.is_eq(),
            (Self::Unequal, Some(ordering)) => ordering.is_ne(),
            (Self::Less, Some(ordering)) => ordering.is_lt(),
            (Self::AtMost, Some(ordering)) => ordering.is_le(),
            (Self::More, Some(ordering)) => ordering.is_gt(),
            (Self::AtLeast, Some(ordering)) => ordering.is_ge(),
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// Whether a list has the value, or an object the key.
fn has(json: &Json, wanted: &Value) -> bool {
    match json {
        Json::Array(items) => {
            items.iter().filter_map(plain).any(|item| item.compare(wanted) == Some(Ordering::Equal))
        }
        Json::Object(members) => members.contains_key(&plain_text(wanted)),
        _ => false,
    }
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Unix time in seconds, or in milliseconds where seconds would lie beyond the year 5000.
fn from_unix(number: f64) -> Option<Timestamp> {
    Timestamp::from_secs_f64(if number > 1e11 { number / 1000.0 } else { number })
}

/// Whether the whole `text` fits `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
