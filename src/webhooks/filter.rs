//! Which events a destination takes: by their type, and by what stands in their body.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pointer::Pointer;
use super::providers::Content;
use super::values::Found;
use crate::base::text::{clip, is_hidden};

/// An event is taken when its type is one of these and every condition holds. Empty: everything is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Filter {
    types: Vec<TypeGlob>,
    conditions: Vec<Condition>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    types: Vec<TypeGlob>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
}

/// A type of events, such as `invoice.paid`; `*` stands for any text, also none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypeGlob(String);

/// Something that must be so in the body: `{ pointer, op, value }` in files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenCondition", into = "WrittenCondition")]
pub struct Condition {
    pub pointer: Pointer,
    pub test: Test,
}

/// What a value must be. Texts, numbers and flags are compared as they are written: `1` is `"1"`, and not `1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Equals(String),
    /// Also where there is no value.
    NotEquals(String),
    OneOf(Vec<String>),
    /// It is there and not null, be it a list or an object.
    Exists,
    StartsWith(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCondition {
    pointer: Pointer,
    op: Op,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    value: Value,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Equals,
    NotEquals,
    OneOf,
    Exists,
    StartsWith,
}

/// Why something is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    #[error("at most {TYPES_MAX} types and {CONDITIONS_MAX} conditions")]
    Count,
    #[error("a type holds 1 to {CHARS_MAX} visible characters without spaces, such as invoice.*")]
    Type,
    #[error("the condition on {pointer}: {reason}")]
    Condition { pointer: String, reason: &'static str },
}

/// Whether a destination takes an event, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Takes,
    /// It names conditions, and the body is no JSON: it is delivered, for the app to judge.
    Unreadable,
    /// The destination names types, and this is none of them.
    OtherType,
    /// It names types, and nothing says of which one this is.
    NoType,
    /// This does not hold.
    Fails {
        condition: String,
    },
}

const TYPES_MAX: usize = 50;
const CONDITIONS_MAX: usize = 20;
const VALUES_MAX: usize = 50;
const CHARS_MAX: usize = 255;
const SAYS_CHARS_MAX: usize = 200;

impl Filter {
    pub fn new(types: Vec<TypeGlob>, conditions: Vec<Condition>) -> Result<Self, BadFilter> {
        if types.len() > TYPES_MAX || conditions.len() > CONDITIONS_MAX {
            return Err(BadFilter::Count);
        }
        Ok(Self { types, conditions })
    }

    pub fn types(&self) -> &[TypeGlob] {
        &self.types
    }

    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// What its conditions ask of a body.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.conditions.iter().map(|condition| &condition.pointer)
    }

    /// Whether an event is taken. Of a body that is no JSON nobody knows whether conditions hold: rather once too often
    /// than never.
    pub fn takes(&self, event_type: Option<&str>, content: &Content<'_>) -> Decision {
        if !self.types.is_empty() {
            let Some(event_type) = event_type else { return Decision::NoType };
            if !self.types.iter().any(|glob| glob.fits(event_type)) {
                return Decision::OtherType;
            }
        }
        if !self.conditions.is_empty() && !content.is_json() {
            return Decision::Unreadable;
        }
        match self.conditions.iter().find(|condition| !condition.holds(content)) {
            None => Decision::Takes,
            Some(failed) => {
                Decision::Fails { condition: clip(&failed.to_string(), SAYS_CHARS_MAX).into_owned() }
            }
        }
    }
}

impl Decision {
    pub const fn takes(&self) -> bool {
        matches!(self, Self::Takes | Self::Unreadable)
    }

    /// One word, for rows and counters.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Takes => "takes",
            Self::Unreadable => "unreadable",
            Self::OtherType => "other_type",
            Self::NoType => "no_type",
            Self::Fails { .. } => "condition",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Takes => f.write_str("the destination takes it"),
            Self::Unreadable => f.write_str(
                "the body is no JSON, so that its conditions say nothing: the destination gets it",
            ),
            Self::OtherType => f.write_str("the destination takes other types only"),
            Self::NoType => f.write_str("the destination takes some types only, and this event names none"),
            Self::Fails { condition } => write!(f, "the destination takes only events where {condition}"),
        }
    }
}

impl TypeGlob {
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        let is_fit = (1..=CHARS_MAX).contains(&text.chars().count())
            && !text.chars().any(|c| is_hidden(c) || c.is_whitespace());
        if is_fit { Ok(Self(text.to_owned())) } else { Err(BadFilter::Type) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In time that grows with both texts, however many stars there are.
    pub fn fits(&self, event_type: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = event_type.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl Condition {
    fn holds(&self, content: &Content<'_>) -> bool {
        let found = content.found(&self.pointer);
        let is_there = found.is_some();
        // An empty text is a value here, unlike where ids are looked for.
        let text = found.and_then(|found| match found {
            Found::Plain(text) => Some(text),
            Found::Nested => None,
        });
        match (&self.test, text) {
            (Test::Exists, _) => is_there,
            (Test::Equals(wanted), text) => text.as_ref() == Some(wanted),
            (Test::NotEquals(unwanted), text) => text.as_ref() != Some(unwanted),
            (Test::OneOf(wanted), text) => text.is_some_and(|text| wanted.contains(&text)),
            (Test::StartsWith(prefix), text) => text.is_some_and(|text| text.starts_with(prefix.as_str())),
        }
    }

    fn read(written: WrittenCondition) -> Result<Self, &'static str> {
        let text = |value: &Value| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err("value is a text, a number or true or false");
                }
            };
            if text.chars().count() > CHARS_MAX {
                Err("a value holds at most 255 characters")
            } else {
                Ok(text)
            }
        };
        let test = match (written.op, &written.value) {
            (Op::Equals, value) => Test::Equals(text(value)?),
            (Op::NotEquals, value) => Test::NotEquals(text(value)?),
            (Op::StartsWith, value) => Test::StartsWith(text(value)?),
            (Op::OneOf, Value::Array(values)) if (1..=VALUES_MAX).contains(&values.len()) => {
                Test::OneOf(values.iter().map(text).collect::<Result<_, _>>()?)
            }
            (Op::OneOf, _) => return Err("value is a list of 1 to 50 values"),
            (Op::Exists, Value::Null) => Test::Exists,
            (Op::Exists, _) => return Err("exists takes no value"),
        };
        Ok(Self { pointer: written.pointer, test })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = &self.pointer;
        match &self.test {
            Test::Equals(value) => write!(f, "{pointer} is {value:?}"),
            Test::NotEquals(value) => write!(f, "{pointer} is not {value:?}"),
            Test::OneOf(values) => write!(f, "{pointer} is one of {}", values.join(", ")),
            Test::Exists => write!(f, "{pointer} exists"),
            Test::StartsWith(prefix) => write!(f, "{pointer} begins with {prefix:?}"),
        }
    }
}

impl TryFrom<Written> for Filter {
    type Error = BadFilter;
    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Self::new(written.types, written.conditions)
    }
}

impl From<Filter> for Written {
    fn from(filter: Filter) -> Self {
        Self { types: filter.types, conditions: filter.conditions }
    }
}

impl TryFrom<String> for TypeGlob {
    type Error = BadFilter;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<TypeGlob> for String {
    fn from(glob: TypeGlob) -> Self {
        glob.0
    }
}

impl TryFrom<WrittenCondition> for Condition {
    type Error = BadFilter;
    fn try_from(written: WrittenCondition) -> Result<Self, Self::Error> {
        let pointer = written.pointer.to_string();
        Self::read(written).map_err(|reason| BadFilter::Condition { pointer, reason })
    }
}

impl From<Condition> for WrittenCondition {
    fn from(condition: Condition) -> Self {
        let (op, value) = match condition.test {
            Test::Equals(value) => (Op::Equals, value.into()),
            Test::NotEquals(value) => (Op::NotEquals, value.into()),
            Test::OneOf(values) => (Op::OneOf, values.into()),
            Test::Exists => (Op::Exists, Value::Null),
            Test::StartsWith(prefix) => (Op::StartsWith, prefix.into()),
        };
        Self { pointer: condition.pointer, op, value }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::webhooks::scheme::Call;
    use crate::webhooks::values::Wanted;

    fn filter(written: Value) -> Filter {
        serde_json::from_value(written).unwrap()
    }

    fn takes(filter: &Filter, event_type: Option<&str>, body: &str) -> Decision {
        let wanted = Wanted::of(filter.pointers());
        let call = Call { method: "POST", url: "", headers: &[], body: body.as_bytes() };
        filter.takes(event_type, &Content::of(&call, &wanted))
    }

    #[test]
    fn a_filter_without_anything_takes_everything() {
        assert_eq!(takes(&Filter::default(), None, "no JSON"), Decision::Takes);
        assert_eq!(filter(json!({})), Filter::default());
    }

    #[test]
    fn types_are_globs() {
        for (glob, event_type, fits) in [
            ("invoice.paid", "invoice.paid", true),
            ("invoice.paid", "invoice.paid.late", false),
            ("invoice.*", "invoice.paid", true),
            ("invoice.*", "invoices", false),
            ("*", "", true),
            ("*.paid", "invoice.paid", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(TypeGlob::parse(glob).unwrap().fits(event_type), fits, "{glob} {event_type}");
        }
        let invoices = filter(json!({"types": ["invoice.*", "charge.refunded"]}));
        assert_eq!(takes(&invoices, Some("charge.refunded"), ""), Decision::Takes);
        assert_eq!(takes(&invoices, Some("charge.failed"), ""), Decision::OtherType);
        assert_eq!(takes(&invoices, None, ""), Decision::NoType);
    }

    #[test]
    fn conditions_look_at_single_values() {
        let body =
            json!({"live": true, "n": 1, "s": "abc", "none": null, "list": [], "empty": ""}).to_string();
        for (pointer, op, value, holds) in [
            ("/live", "equals", json!(true), true),
            ("/live", "equals", json!("true"), true),
            ("/n", "equals", json!(1), true),
            ("/n", "equals", json!("1.0"), false),
            ("/empty", "equals", json!(""), true),
            ("/gone", "equals", json!("x"), false),
            ("/gone", "not_equals", json!("x"), true),
            ("/s", "not_equals", json!("abc"), false),
            ("/s", "one_of", json!(["x", "abc"]), true),
            ("/s", "one_of", json!(["x"]), false),
            ("/gone", "one_of", json!(["x"]), false),
            ("/list", "exists", Value::Null, true),
            ("/none", "exists", Value::Null, false),
            ("/s", "starts_with", json!("ab"), true),
            ("/list", "starts_with", json!(""), false),
        ] {
            let written = json!({"conditions": [{"pointer": pointer, "op": op, "value": value}]});
            let filter = filter(written.clone());
            assert_eq!(takes(&filter, None, &body).takes(), holds, "{written}");
            let again: Filter = serde_json::from_value(serde_json::to_value(&filter).unwrap()).unwrap();
            assert_eq!(again, filter);
        }
    }

    #[test]
    fn what_cannot_be_read_is_delivered_and_not_dropped() {
        let filter = filter(
            json!({"types": ["a"], "conditions": [{"pointer": "/live", "op": "equals", "value": true}]}),
        );
        for body in ["", "a=1", "{\"live\":", "\u{feff}{}"] {
            let decision = takes(&filter, Some("a"), body);
            assert_eq!((decision.as_str(), decision.takes()), ("unreadable", true), "{body}");
            assert_eq!(takes(&filter, Some("b"), body), Decision::OtherType, "{body}");
        }
    }

    #[test]
    fn a_decision_says_what_does_not_hold() {
        let filter = filter(json!({"conditions": [{"pointer": "/livemode", "op": "equals", "value": true}]}));
        let decision = takes(&filter, None, r#"{"livemode":false}"#);
        assert_eq!(decision.to_string(), "the destination takes only events where /livemode is \"true\"");
        assert_eq!(decision.as_str(), "condition");
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_reason() {
        for (written, wanted) in [
            (json!({"types": ["a b"]}), "a type holds 1 to 255 visible characters"),
            (json!({"types": vec!["a"; 51]}), "at most 50 types"),
            (json!({"conditions": [{"pointer": "x", "op": "exists"}]}), "begin with a slash"),
            (
                json!({"conditions": [{"pointer": "/x", "op": "exists", "value": 1}]}),
                "/x: exists takes no value",
            ),
            (json!({"conditions": [{"pointer": "/x", "op": "equals"}]}), "/x: value is a text"),
            (json!({"conditions": [{"pointer": "/x", "op": "one_of", "value": []}]}), "/x: value is a list"),
            (json!({"conditions": [{"pointer": "/x", "op": "like", "value": "y"}]}), "unknown variant"),
            (json!({"kinds": []}), "unknown field"),
        ] {
            let error = serde_json::from_value::<Filter>(written.clone()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{written}: {error}");
        }
    }
}
