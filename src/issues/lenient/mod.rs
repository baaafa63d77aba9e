//! Reading JSON that may be of any shape: what fits is taken, what does not is skipped with a warning.
//!
//! Every seed accepts every JSON type, so a wrong type never ends the reading; only broken syntax does.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

mod lists;

pub(super) use lists::{Key, Pairs};
use lists::{PairsSeed, TextsSeed};

/// Something in an event that could not be read as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Where, without indexes: `exception.frame.lineno`.
    pub path: Cow<'static, str>,
    pub detail: Cow<'static, str>,
}

/// A person reads these; more than this says nothing new.
const WARNINGS_MAX: usize = 32;

/// The list that all readers of one event write to.
#[derive(Debug, Default)]
pub(super) struct Warnings(RefCell<Vec<Warning>>);

impl Warnings {
    pub(super) fn add(&self, path: &'static str, detail: &'static str) {
        let mut list = self.0.borrow_mut();
        let known = list.iter().any(|w| w.path == path && w.detail == detail);
        if !known && list.len() < WARNINGS_MAX {
            list.push(Warning { path: Cow::Borrowed(path), detail: Cow::Borrowed(detail) });
        }
    }

    pub(super) fn into_list(self) -> Vec<Warning> {
        self.0.into_inner()
    }
}

/// A JSON value without members.
#[derive(Debug)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl<'a> Scalar<'a> {
    pub(super) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(number.to_string()),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
        }
    }
}

/// Reads one scalar; null is `None`, a list or an object is `None` with a warning.
pub(super) struct ScalarSeed<'w> {
    pub(super) path: &'static str,
    pub(super) warnings: &'w Warnings,
}

impl<'a> DeserializeSeed<'a> for ScalarSeed<'_> {
    type Value = Option<Scalar<'a>>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for ScalarSeed<'_> {
    type Value = Option<Scalar<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Owned(text))))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Int(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(
            i64::try_from(number).map_or_else(|_| Scalar::Text(Cow::Owned(number.to_string())), Scalar::Int),
        ))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Float(number)))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Bool(value)))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'a>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "a list where one value belongs");
        skip_seq(seq)
    }
    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "an object where one value belongs");
        skip_map(map)
    }
}

fn skip_seq<'a, T, A: SeqAccess<'a>>(mut seq: A) -> Result<Option<T>, A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(None)
}

fn skip_map<'a, T, A: MapAccess<'a>>(mut map: A) -> Result<Option<T>, A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(None)
}

/// The value of an object's current field, still unread.
pub(super) struct Field<'m, 'w, A> {
    pub(super) map: &'m mut A,
    pub(super) warnings: &'w Warnings,
}

impl<'a, A: MapAccess<'a>> Field<'_, '_, A> {
    pub(super) fn skip(self) -> Result<(), A::Error> {
        self.map.next_value::<IgnoredAny>().map(drop)
    }

    pub(super) fn scalar(self, path: &'static str) -> Result<Option<Scalar<'a>>, A::Error> {
        let seed = ScalarSeed { path, warnings: self.warnings };
        self.map.next_value_seed(seed)
    }

    /// Any scalar as text; null and empty text are `None`.
    pub(super) fn text(self, path: &'static str) -> Result<Option<Cow<'a, str>>, A::Error> {
        Ok(self.scalar(path)?.map(Scalar::into_text).filter(|text| !text.is_empty()))
    }

    pub(super) fn int(self, path: &'static str) -> Result<Option<i64>, A::Error> {
        let warnings = self.warnings;
        Ok(match self.scalar(path)? {
            Some(Scalar::Int(number)) => Some(number),
            Some(Scalar::Text(text)) if text.trim().parse::<i64>().is_ok() => text.trim().parse().ok(),
            None => None,
            Some(Scalar::Text(_) | Scalar::Float(_) | Scalar::Bool(_)) => {
                warnings.add(path, "not a whole number");
                None
            }
        })
    }

    pub(super) fn bool(self, path: &'static str) -> Result<Option<bool>, A::Error> {
        let warnings = self.warnings;
        Ok(match self.scalar(path)? {
            Some(Scalar::Bool(value)) => Some(value),
            Some(Scalar::Int(number)) => Some(number != 0),
            None => None,
            Some(Scalar::Text(_) | Scalar::Float(_)) => {
                warnings.add(path, "neither true nor false");
                None
            }
        })
    }

    pub(super) fn object<T: FromFields<'a>>(self) -> Result<Option<T>, A::Error> {
        self.map.next_value_seed(ObjectSeed { warnings: self.warnings, of: PhantomData })
    }

    /// `{values: [T]}`, `[T]` or one `T` alone.
    pub(super) fn values<T: FromFields<'a>>(self) -> Result<Vec<T>, A::Error> {
        self.map.next_value_seed(ValuesSeed { warnings: self.warnings, of: PhantomData })
    }

    /// `{k: v}` or `[[k, v]]`; members that are no scalars are skipped.
    pub(super) fn pairs(self, path: &'static str, pairs_max: usize) -> Result<Pairs<'a>, A::Error> {
        self.map.next_value_seed(PairsSeed { path, pairs_max, warnings: self.warnings })
    }

    /// A list of scalars, or one scalar alone.
    pub(super) fn texts(self, path: &'static str, texts_max: usize) -> Result<Vec<Cow<'a, str>>, A::Error> {
        self.map.next_value_seed(TextsSeed { path, texts_max, warnings: self.warnings })
    }
}

/// What is read from the fields of a JSON object.
pub(super) trait FromFields<'a>: Default {
    /// Where it stands in an event, for warnings.
    const PATH: &'static str;

    /// Takes one field. The implementation must read or skip the value.
    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error>;

    /// Fills the object from a value that is no object, where a client may send such a one.
    fn take_scalar(&mut self, _scalar: Scalar<'a>) -> bool {
        false
    }

    /// Adds `item` to a list of its kind and keeps the list bounded.
    fn add_to(list: &mut Vec<Self>, item: Self) {
        const ITEMS_MAX: usize = 64;
        push_keeping_ends(list, item, ITEMS_MAX);
    }
}

/// Pushes and, where the list grew to twice `items_max`, drops the middle: both ends of a stack matter most.
pub(super) fn push_keeping_ends<T>(list: &mut Vec<T>, item: T, items_max: usize) {
    list.push(item);
    if list.len() >= items_max * 2 {
        list.drain(items_max / 2..list.len() - items_max / 2);
    }
}

pub(super) struct ObjectSeed<'w, T> {
    pub(super) warnings: &'w Warnings,
    pub(super) of: PhantomData<T>,
}

impl<'a, T: FromFields<'a>> DeserializeSeed<'a> for ObjectSeed<'_, T> {
    type Value = Option<T>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, T: FromFields<'a>> ObjectSeed<'_, T> {
    fn fill(&self, scalar: Scalar<'a>) -> Option<T> {
        let mut item = T::default();
        if item.take_scalar(scalar) {
            return Some(item);
        }
        self.warnings.add(T::PATH, "one value where an object belongs");
        None
    }
}

impl<'a, T: FromFields<'a>> Visitor<'a> for ObjectSeed<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut item = T::default();
        while let Some(Key(key)) = map.next_key()? {
            item.take(&key, Field { map: &mut map, warnings: self.warnings })?;
        }
        Ok(Some(item))
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(self.fill(Scalar::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.fill(Scalar::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.fill(Scalar::Int(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.fill(Scalar::Text(Cow::Owned(number.to_string()))))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(self.fill(Scalar::Float(number)))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.fill(Scalar::Bool(value)))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'a>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(T::PATH, "a list where an object belongs");
        skip_seq(seq)
    }
}

struct ValuesSeed<'w, T> {
    warnings: &'w Warnings,
    of: PhantomData<T>,
}

impl<'a, T: FromFields<'a>> DeserializeSeed<'a> for ValuesSeed<'_, T> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T> ValuesSeed<'_, T> {
    fn refuse(&self, path: &'static str) -> Vec<T> {
        self.warnings.add(path, "one value where a list belongs");
        Vec::new()
    }
}

impl<'a, T: FromFields<'a>> Visitor<'a> for ValuesSeed<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            seq.next_element_seed(ObjectSeed { warnings: self.warnings, of: PhantomData })?
        {
            if let Some(item) = item {
                T::add_to(&mut list, item);
            }
        }
        Ok(list)
    }
    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        let mut alone: Option<T> = None;
        while let Some(Key(key)) = map.next_key()? {
            let field = Field { map: &mut map, warnings: self.warnings };
            if key == "values" {
                list = field.values()?;
            } else {
                alone.get_or_insert_default().take(&key, field)?;
            }
        }
        if list.is_empty() {
            list.extend(alone);
        }
        Ok(list)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_str<E>(self, _text: &str) -> Result<Self::Value, E> {
        Ok(self.refuse(T::PATH))
    }
    fn visit_i64<E>(self, _number: i64) -> Result<Self::Value, E> {
        Ok(self.refuse(T::PATH))
    }
    fn visit_u64<E>(self, _number: u64) -> Result<Self::Value, E> {
        Ok(self.refuse(T::PATH))
    }
    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(self.refuse(T::PATH))
    }
    fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(self.refuse(T::PATH))
    }
}
