//! What is signed: texts and parts of the call, in their order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Such as `v0:{timestamp}:{body}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Part(Part),
}

/// What a template takes out of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The raw bytes.
    Body,
    /// The time as it was written.
    Timestamp,
    Id,
    /// In upper case, such as `POST`.
    Method,
    /// The public address with its query.
    Url,
}

/// Why a text is no [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("{{{0}}} is unknown: use {{body}}, {{timestamp}}, {{id}}, {{method}} and {{url}}")]
    Unknown(String),
    #[error("a brace is open or closed by itself: write parts as {{body}}")]
    Brace,
    #[error("{{{0}}} stands there twice: name each part once")]
    Twice(&'static str),
    #[error("use at most {CHARS_MAX} characters")]
    TooLong,
}

/// The values of one call.
pub(super) struct Parts<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) id: &'a str,
    pub(super) body: &'a [u8],
}

const CHARS_MAX: usize = 200;

impl Part {
    const ALL: [Self; 5] = [Self::Body, Self::Timestamp, Self::Id, Self::Method, Self::Url];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Timestamp => "timestamp",
            Self::Id => "id",
            Self::Method => "method",
            Self::Url => "url",
        }
    }
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        if text.chars().count() > CHARS_MAX {
            return Err(BadTemplate::TooLong);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            if rest.as_bytes()[open] == b'}' {
                return Err(BadTemplate::Brace);
            }
            let (name, after) = rest[open + 1..].split_once('}').ok_or(BadTemplate::Brace)?;
            let known = Part::ALL.into_iter().find(|part| part.as_str() == name);
            let part = known.ok_or_else(|| BadTemplate::Unknown(name.to_owned()))?;
            if pieces.contains(&Piece::Part(part)) {
                return Err(BadTemplate::Twice(part.as_str()));
            }
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            pieces.push(Piece::Part(part));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    pub fn has(&self, part: Part) -> bool {
        self.0.contains(&Piece::Part(part))
    }

    /// Two parts side by side of which either may be of any length, so that nobody could say where one ends. The time
    /// is known by its digits; the address is the source's own, and Square and others sign it right before the body.
    pub(super) fn unbounded(&self) -> Option<(&'static str, &'static str)> {
        let is_free = |part: Part| matches!(part, Part::Body | Part::Id | Part::Url);
        self.0.windows(2).find_map(|pair| match pair {
            [Piece::Part(Part::Url), Piece::Part(Part::Body)] => None,
            [Piece::Part(first), Piece::Part(second)] if is_free(*first) && is_free(*second) => {
                Some((first.as_str(), second.as_str()))
            }
            [Piece::Part(first @ Part::Timestamp), Piece::Text(text)]
                if text.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                Some((first.as_str(), "text"))
            }
            _ => None,
        })
    }

    /// Whether `id` holds no mark that ends it: with one, its end could be moved into what follows, and back.
    pub(super) fn bounds(&self, id: &str) -> bool {
        self.0.windows(2).all(|pair| match pair {
            [Piece::Part(Part::Id), Piece::Text(text)] => {
                !text.chars().next().is_some_and(|mark| id.contains(mark))
            }
            _ => true,
        })
    }

    /// The bytes that are signed, piece by piece: the body is not copied.
    pub(super) fn fill<'a>(&'a self, parts: &Parts<'a>) -> Vec<&'a [u8]> {
        let bytes = |piece: &'a Piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Part(Part::Body) => parts.body,
            Piece::Part(Part::Timestamp) => parts.timestamp.as_bytes(),
            Piece::Part(Part::Id) => parts.id.as_bytes(),
            Piece::Part(Part::Method) => parts.method.as_bytes(),
            Piece::Part(Part::Url) => parts.url.as_bytes(),
        };
        self.0.iter().map(bytes).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Part(part) => write!(f, "{{{}}}", part.as_str()),
        })
    }
}

impl TryFrom<String> for Template {
    type Error = BadTemplate;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_and_written_the_same() {
        for text in
            ["{body}", "v0:{timestamp}:{body}", "{method}{url}{timestamp}{body}", "a{body}b", "plain", ""]
        {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_template_is_filled_in_its_order() {
        let parts = Parts { method: "POST", url: "u", timestamp: "7", id: "i", body: b"\xff" };
        let template = Template::parse("{id}.{timestamp}.{body}|{url} {method}").unwrap();
        assert_eq!(template.fill(&parts).concat(), b"i.7.\xff|u POST");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert_eq!(Template::parse("{ts}.{body}"), Err(BadTemplate::Unknown("ts".to_owned())));
        assert_eq!(Template::parse("{body"), Err(BadTemplate::Brace));
        assert_eq!(Template::parse("body}"), Err(BadTemplate::Brace));
        assert_eq!(Template::parse("{body}{body}"), Err(BadTemplate::Twice("body")));
        assert_eq!(Template::parse(&"a".repeat(201)), Err(BadTemplate::TooLong));
    }
}
