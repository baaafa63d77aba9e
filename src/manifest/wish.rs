//! What an entry asks for, and what is left of it where something of it is wrong.
//!
//! One answer tells every mistake, of all sections. So what was told of an entry is left out, and the rest is understood and
//! saved as if it were all: by that the rest is judged, and whatever names the thing. What follows from a mistake alone is
//! not told. Nothing of this is ever kept: where something was told, the write is given up.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::files::Document;
use super::problem::Problem;
use super::sections::{Draft, Section};
use super::tree::{Entry, SECRETS};

/// An entry and what its section understood of it.
pub(super) struct Wish {
    pub(super) section: &'static Section,
    /// As its file has it.
    pub(super) entry: Entry,
    /// Of what is left of the entry; `None` where that is nothing.
    pub(super) draft: Option<Box<dyn Draft>>,
    /// Where something of it is wrong.
    rest: Option<Rest>,
}

/// An entry without what was told of it.
struct Rest {
    entry: Entry,
    /// The fields that something was told of.
    told: BTreeSet<String>,
}

/// Names of what is mistaken itself: what is wrong with naming it is a consequence.
#[derive(Default)]
pub(super) struct Mistaken(BTreeSet<String>);

/// The project of what names none that is right, so that the rest of it can be judged.
pub(super) const STAND_IN: &str = "stand-in";

impl Wish {
    pub(super) fn read(
        section: &'static Section,
        entry: Entry,
        document: &Document,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut wish = Self { section, entry, draft: None, rest: None };
        if wish.entry.is_torn {
            wish.leave_out([""]);
            return wish;
        }
        let told = problems.len();
        wish.draft = (section.read)(&wish.entry, problems);
        for (name, reference) in &wish.entry.secrets {
            if let Some(why) = document.unread.get(reference) {
                problems
                    .push(wish.entry.problem(&format!("{SECRETS}.{name}"), format!("{reference}: {why}")));
            }
        }
        let flaws: Vec<String> = problems[told..].iter().map(|problem| problem.path.clone()).collect();
        let flaws: Vec<String> = wish.entry.flaws.iter().cloned().chain(flaws).collect();
        if !flaws.is_empty() {
            // Of a list from its end, so that the places of the others stay.
            wish.leave_out(flaws.iter().rev().map(String::as_str));
        }
        wish
    }

    pub(super) const fn is_mistaken(&self) -> bool {
        self.rest.is_some()
    }

    /// Goes on without what is at these paths.
    pub(super) fn leave_out<'a>(&mut self, paths: impl IntoIterator<Item = &'a str>) {
        let rest = self.rest.get_or_insert_with(|| Rest { entry: self.entry.clone(), told: BTreeSet::new() });
        let mut is_other = false;
        for path in paths {
            is_other |= rest.leave_out(self.section, path);
        }
        // A torn entry is no more than its name.
        let is_left = is_other && !self.entry.is_torn;
        self.draft = if is_left { (self.section.read)(&rest.entry, &mut Vec::new()) } else { None };
    }

    /// Whether a refusal at `path` is no more than a consequence of what was told already.
    pub(super) fn is_consequence(&self, path: &str, mistaken: &Mistaken) -> bool {
        let is_told = |field: &str| self.rest.as_ref().is_some_and(|rest| rest.told.contains(field));
        let (field, named) = (top(path), self.left().named_at(path));
        let is_gone = field == PROJECT || at(&self.left().fields, path).is_none();
        let with = self.section.judged_with.iter().filter(|(one, _)| *one == field);
        let is_of_told = with.flat_map(|(_, with)| *with).any(|other| is_told(other));
        let names_mistaken =
            || NAMES.contains(&field) && named.is_some_and(|it| mistaken.0.contains(last(it)));
        (is_told(field) && is_gone) || is_of_told || names_mistaken()
    }

    /// At its line in the file.
    pub(super) fn problem(&self, path: &str, text: impl Into<String>) -> Problem {
        self.left().problem(path, text)
    }

    fn left(&self) -> &Entry {
        self.rest.as_ref().map_or(&self.entry, |rest| &rest.entry)
    }
}

impl Rest {
    /// Whether it is another now.
    fn leave_out(&mut self, section: &Section, path: &str) -> bool {
        self.told.insert(top(path).to_owned());
        if path == PROJECT {
            return self.entry.stand_in_project();
        }
        if !self.entry.remove(path) {
            return false;
        }
        // By what is usual they would be judged otherwise than they were meant.
        for (field, _) in section.judged_with.iter().filter(|(_, with)| with.contains(&top(path))) {
            self.leave_out(section, field);
        }
        true
    }
}

impl Mistaken {
    pub(super) fn add(&mut self, wish: &Wish) {
        // What stands below another is named by nobody.
        if wish.section.below.is_none() {
            self.0.insert(last(&wish.entry.key).to_owned());
            self.0.insert(last(&wish.key()).to_owned());
        }
    }
}

impl Entry {
    /// The name that stands at `path`, if it is one.
    fn named_at(&self, path: &str) -> Option<&str> {
        let is_above = [PROJECT, SOURCE].contains(&path);
        let above = || self.key.split_once('/').map(|(above, _)| above).filter(|_| is_above);
        at(&self.fields, path).and_then(Value::as_str).or_else(above)
    }

    fn stand_in_project(&mut self) -> bool {
        if let Some(project) = self.fields.get_mut(PROJECT) {
            *project = STAND_IN.into();
        } else if let Some((_, name)) = self.key.split_once('/') {
            self.key = format!("{STAND_IN}/{name}");
        } else {
            return false;
        }
        true
    }

    /// Whether there was something to remove.
    fn remove(&mut self, path: &str) -> bool {
        if path == SECRETS {
            return !std::mem::take(&mut self.secrets).is_empty();
        }
        if let Some(name) = path.strip_prefix(SECRETS).and_then(|rest| rest.strip_prefix('.')) {
            return self.secrets.remove(name).is_some();
        }
        let Some((list, item)) = path.rsplit_once('.') else { return self.fields.remove(path).is_some() };
        match at_mut(&mut self.fields, list) {
            Some(Value::Object(fields)) => fields.remove(item).is_some(),
            Some(Value::Array(items)) => {
                let Some(place) = item.parse().ok().filter(|place| *place < items.len()) else {
                    return false;
                };
                items.remove(place);
                self.move_up(list, place);
                true
            }
            _ => self.fields.remove(top(path)).is_some(),
        }
    }

    /// Those after a removed item of a list are one place further up.
    fn move_up(&mut self, list: &str, removed: usize) {
        let begins = format!("{list}.");
        let lines = std::mem::take(&mut self.lines).into_iter().filter_map(|(path, line)| {
            let Some(rest) = path.strip_prefix(&begins) else { return Some((path, line)) };
            let (place, below) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
            match place.parse::<usize>().ok()? {
                place if place < removed => Some((path, line)),
                place if place == removed => None,
                place => Some((format!("{begins}{}{below}", place - 1), line)),
            }
        });
        self.lines = lines.collect();
    }
}

const PROJECT: &str = "project";
/// What stands below a source of webhooks names it by its place.
pub(super) const SOURCE: &str = "source";
/// The fields that name other things.
const NAMES: [&str; 6] = [PROJECT, SOURCE, "channels", "depends_on", "members", "covers"];

fn top(path: &str) -> &str {
    path.split_once('.').map_or(path, |(field, _)| field)
}

/// Of `shop/nightly` and `service:payment` what they are called where they are made.
fn last(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}

fn at<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut names = path.split('.');
    let first = fields.get(names.next()?)?;
    names.try_fold(first, |value, name| match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

fn at_mut<'a>(fields: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    let mut names = path.split('.');
    let first = fields.get_mut(names.next()?)?;
    names.try_fold(first, |value, name| match value {
        Value::Object(fields) => fields.get_mut(name),
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}
