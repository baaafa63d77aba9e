//! What a probe saw, as conditions ask for it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;

use super::Step;
use super::value::{SHOWN_CHARS_MAX, Unit, Value};
use crate::base::Timestamp;
use crate::probes::redactor::Redactor;

/// Values by the name of their field; what is not here was not seen. Judged as they are, shown without secrets.
#[derive(Debug)]
pub struct Facts {
    values: BTreeMap<&'static str, Value>,
    trees: BTreeMap<&'static str, Tree>,
    whys: BTreeMap<&'static str, String>,
    untold: BTreeMap<&'static str, String>,
    now: Timestamp,
    redactor: Arc<Redactor>,
}

/// Of why a value is what it is.
const WHY_CHARS_MAX: usize = 300;

/// A text that may be JSON, bounded by whoever read it.
#[derive(Debug)]
pub struct Tree {
    text: String,
    json: OnceLock<Option<Json>>,
    /// It never was a text: only what it holds can be counted.
    is_data: bool,
}

impl Tree {
    /// What was answered. It is read as JSON when a condition first asks for something below it.
    pub const fn of_text(text: String) -> Self {
        Self { text, json: OnceLock::new(), is_data: false }
    }

    pub fn of_json(json: Json) -> Self {
        Self { text: json.to_string(), json: OnceLock::from(Some(json)), is_data: true }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Characters of a text; of a list or an object that somebody made, what it holds.
    pub(super) fn length(&self) -> usize {
        match self.json.get() {
            Some(Some(Json::Array(items))) if self.is_data => items.len(),
            Some(Some(Json::Object(members))) if self.is_data => members.len(),
            _ => self.text.chars().count(),
        }
    }

    fn json(&self) -> Option<&Json> {
        self.json.get_or_init(|| serde_json::from_str(&self.text).ok()).as_ref()
    }
}

impl Facts {
    /// `now` is what ages are counted to.
    pub fn new(now: Timestamp) -> Self {
        Self::of_probe(now, Arc::default())
    }

    /// Of a probe whose own secrets the redactor knows.
    pub const fn of_probe(now: Timestamp, redactor: Arc<Redactor>) -> Self {
        Self {
            values: BTreeMap::new(),
            trees: BTreeMap::new(),
            whys: BTreeMap::new(),
            untold: BTreeMap::new(),
            now,
            redactor,
        }
    }

    /// What everything that was seen with these goes through before it is shown.
    pub const fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// Adds what was seen; a number that is not finite was not.
    pub fn set(&mut self, field: &'static str, value: Value) {
        if !matches!(value, Value::Number(number, _) if !number.is_finite()) {
            self.values.insert(field, value);
        }
    }

    pub fn set_tree(&mut self, field: &'static str, tree: Tree) {
        self.trees.insert(field, tree);
    }

    /// Why a value is what it is, for whoever asks for another: `the certificate has expired`.
    pub fn explain(&mut self, field: &'static str, why: String) {
        self.whys.insert(field, why);
    }

    /// There is a value, and this question could not find it: no condition that asks for it holds, in whatever way it
    /// asks. `why` names the cure.
    pub fn cannot_tell(&mut self, field: &'static str, why: impl Into<String>) {
        self.untold.insert(field, why.into());
    }

    pub(super) fn untold(&self, field: &str) -> Option<String> {
        self.untold.get(field).map(|why| format!("{field} cannot be told: {why}"))
    }

    /// `reason`, with why the field is as it is.
    pub(super) fn explained(&self, field: &str, reason: String) -> String {
        match self.whys.get(field) {
            Some(why) => format!("{reason}: {}", self.redactor.line(why, WHY_CHARS_MAX)),
            None => reason,
        }
    }

    pub fn get(&self, field: &str) -> Option<&Value> {
        self.values.get(field)
    }

    /// The values by their names, as people read them; trees are not among them.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        self.values.iter().map(|(name, value)| (*name, self.show(name, value))).collect()
    }

    /// A value as people read it; `name` is what it is called where it was found.
    pub(super) fn show(&self, name: &str, value: &Value) -> String {
        match value {
            Value::Text(text) => format!("{:?}", self.redactor.named(name, text, SHOWN_CHARS_MAX)),
            // A number as it stands in an answer may be somebody's card.
            Value::Number(_, Unit::Plain) => self.redactor.text(&value.to_string(), SHOWN_CHARS_MAX),
            Value::Number(_, Unit::Seconds | Unit::Bytes | Unit::Percent) | Value::Flag(_) | Value::Null => {
                value.to_string()
            }
        }
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn tree(&self, field: &str) -> Option<&Tree> {
        self.trees.get(field)
    }
}

/// What lies at the end of a path.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    Missing,
    /// `[*]` or a path below it led to several values, or, in a list or an object that is there, to none.
    Many(Vec<&'a Json>),
    One(&'a Json),
}

impl Tree {
    /// Follows `steps`; `None` where there is no JSON to follow them into.
    pub(super) fn find(&self, steps: &[Step]) -> Option<Found<'_>> {
        let mut at = vec![self.json()?];
        let mut is_many = false;
        for step in steps {
            at = match step {
                Step::Key(key) => at.iter().filter_map(|json| json.get(key)).collect(),
                Step::At(index) => at.iter().filter_map(|json| json.get(*index)).collect(),
                Step::Each => {
                    is_many |= at.iter().any(|json| json.is_array() || json.is_object());
                    at.into_iter().flat_map(children).collect()
                }
            };
        }
        Some(match (is_many, at.as_slice()) {
            (true, _) => Found::Many(at),
            (false, [one]) => Found::One(one),
            (false, _) => Found::Missing,
        })
    }
}

fn children(json: &Json) -> Vec<&Json> {
    match json {
        Json::Array(items) => items.iter().collect(),
        Json::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

/// A value that is no list and no object.
pub(super) fn plain(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => Value::Number(number.as_f64()?, Unit::Plain),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => return None,
    })
}
