//! Keys, pairs and lists of scalars, in all the forms clients send them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Scalar, ScalarSeed, Warnings, skip_map, skip_seq};

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

pub(super) struct PairsSeed<'w> {
    pub(super) path: &'static str,
    pub(super) pairs_max: usize,
    pub(super) warnings: &'w Warnings,
}

impl<'a> PairsSeed<'_> {
    fn add(&self, pairs: &mut Pairs<'a>, name: Cow<'a, str>, value: Option<Scalar<'a>>) {
        let Some(value) = value else { return };
        if pairs.len() < self.pairs_max {
            pairs.push((name, value.into_text()));
        } else {
            self.warnings.add(self.path, "too many: the rest is left out");
        }
    }

    fn refuse(&self) -> Pairs<'a> {
        self.warnings.add(self.path, "one value where an object belongs");
        Vec::new()
    }
}

impl<'a> DeserializeSeed<'a> for PairsSeed<'_> {
    type Value = Pairs<'a>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for PairsSeed<'_> {
    type Value = Pairs<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Key(name)) = map.next_key()? {
            let value = map.next_value_seed(ScalarSeed { path: self.path, warnings: self.warnings })?;
            self.add(&mut pairs, name, value);
        }
        Ok(pairs)
    }
    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = seq.next_element_seed(PairSeed { path: self.path, warnings: self.warnings })? {
            if let Some((name, value)) = pair {
                self.add(&mut pairs, name, value);
            }
        }
        Ok(pairs)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_str<E>(self, _text: &str) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_i64<E>(self, _number: i64) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_u64<E>(self, _number: u64) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
}

/// One `[name, value]`.
struct PairSeed<'w> {
    path: &'static str,
    warnings: &'w Warnings,
}

type Pair<'a> = (Cow<'a, str>, Option<Scalar<'a>>);

impl<'a> DeserializeSeed<'a> for PairSeed<'_> {
    type Value = Option<Pair<'a>>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl PairSeed<'_> {
    fn refuse<'a>(&self) -> Option<Pair<'a>> {
        self.warnings.add(self.path, "not a pair of name and value");
        None
    }
}

impl<'a> Visitor<'a> for PairSeed<'_> {
    type Value = Option<Pair<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let seed = || ScalarSeed { path: self.path, warnings: self.warnings };
        let name = seq.next_element_seed(seed())?.flatten();
        let value = seq.next_element_seed(seed())?.flatten();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(name.map(|name| (name.into_text(), value)))
    }
    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "not a pair of name and value");
        skip_map(map)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E>(self, _text: &str) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_i64<E>(self, _number: i64) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_u64<E>(self, _number: u64) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
    fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(self.refuse())
    }
}

pub(super) struct TextsSeed<'w> {
    pub(super) path: &'static str,
    pub(super) texts_max: usize,
    pub(super) warnings: &'w Warnings,
}

impl<'a> DeserializeSeed<'a> for TextsSeed<'_> {
    type Value = Vec<Cow<'a, str>>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for TextsSeed<'_> {
    type Value = Vec<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        let seed = || ScalarSeed { path: self.path, warnings: self.warnings };
        while let Some(item) = seq.next_element_seed(seed())? {
            let Some(item) = item else { continue };
            if texts.len() < self.texts_max {
                texts.push(item.into_text());
            } else {
                self.warnings.add(self.path, "too many: the rest is left out");
                skip_seq::<(), A>(seq)?;
                break;
            }
        }
        Ok(texts)
    }
    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "an object where a list belongs");
        skip_map::<(), A>(map)?;
        Ok(Vec::new())
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(vec![Cow::Borrowed(text)])
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(vec![Cow::Owned(text.to_owned())])
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(vec![Cow::Owned(number.to_string())])
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(vec![Cow::Owned(number.to_string())])
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(vec![Cow::Owned(number.to_string())])
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(vec![Scalar::Bool(value).into_text()])
    }
}
