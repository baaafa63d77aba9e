//! Keys, pairs and lists of scalars, in all the forms clients send them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::any::{Any, Reads, skip_map, skip_seq};
use super::{OneScalar, Scalar, Warnings};

/// Names and values in the order they came.
pub(in crate::issues) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// An object's key, borrowed where it holds no escapes.
pub(in crate::issues) struct Key<'a>(pub(in crate::issues) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'a> Visitor<'a> for KeyVisitor {
    type Value = Key<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

pub(super) struct PairList<'w> {
    pub(super) path: &'static str,
    pub(super) pairs_max: usize,
    pub(super) warnings: &'w Warnings,
}

impl<'a> PairList<'_> {
    fn add(&self, pairs: &mut Pairs<'a>, name: Cow<'a, str>, value: Option<Scalar<'a>>) {
        let Some(value) = value else { return };
        if pairs.len() < self.pairs_max {
            pairs.push((name, value.into_text()));
        } else {
            self.warnings.add(self.path, "too many: the rest is left out");
        }
    }
}

impl<'a> Reads<'a> for PairList<'_> {
    type Value = Pairs<'a>;

    fn scalar(self, _scalar: Scalar<'a>) -> Self::Value {
        self.warnings.add(self.path, "one value where an object belongs");
        Vec::new()
    }
    fn null(self) -> Self::Value {
        Vec::new()
    }
    fn list<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        let one = || Any(OnePair { path: self.path, warnings: self.warnings });
        while let Some(pair) = seq.next_element_seed(one())? {
            if let Some((name, value)) = pair {
                self.add(&mut pairs, name, value);
            }
        }
        Ok(pairs)
    }
    fn object<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Key(name)) = map.next_key()? {
            let value = map.next_value_seed(Any(OneScalar { path: self.path, warnings: self.warnings }))?;
            self.add(&mut pairs, name, value);
        }
        Ok(pairs)
    }
}

/// One `[name, value]`.
struct OnePair<'w> {
    path: &'static str,
    warnings: &'w Warnings,
}

impl OnePair<'_> {
    fn refuse(&self) {
        self.warnings.add(self.path, "not a pair of name and value");
    }
}

impl<'a> Reads<'a> for OnePair<'_> {
    type Value = Option<(Cow<'a, str>, Option<Scalar<'a>>)>;

    fn scalar(self, _scalar: Scalar<'a>) -> Self::Value {
        self.refuse();
        None
    }
    fn null(self) -> Self::Value {
        None
    }
    fn list<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let one = || Any(OneScalar { path: self.path, warnings: self.warnings });
        let name = seq.next_element_seed(one())?.flatten();
        let value = seq.next_element_seed(one())?.flatten();
        skip_seq(seq)?;
        Ok(name.map(|name| (name.into_text(), value)))
    }
    fn object<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.refuse();
        skip_map(map).map(|()| None)
    }
}

/// A list of scalars as text, or one alone.
pub(super) struct Texts<'w> {
    pub(super) path: &'static str,
    pub(super) items_max: usize,
    pub(super) warnings: &'w Warnings,
}

impl<'a> Reads<'a> for Texts<'_> {
    type Value = Vec<Cow<'a, str>>;

    fn scalar(self, scalar: Scalar<'a>) -> Self::Value {
        vec![scalar.into_text()]
    }
    fn null(self) -> Self::Value {
        Vec::new()
    }
    fn list<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        let one = || Any(OneScalar { path: self.path, warnings: self.warnings });
        while let Some(item) = seq.next_element_seed(one())? {
            let Some(item) = item else { continue };
            if texts.len() < self.items_max {
                texts.push(item.into_text());
            } else {
                self.warnings.add(self.path, "too many: the rest is left out");
                skip_seq(seq)?;
                break;
            }
        }
        Ok(texts)
    }
    fn object<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "an object where a list belongs");
        skip_map(map).map(|()| Vec::new())
    }
}
