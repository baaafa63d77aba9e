//! Reading JSON that may be of any shape: what fits is taken, what does not is skipped with a warning.
//!
//! Every seed accepts every JSON type, so a wrong type never ends the reading; only broken syntax does.

use std::borrow::Cow;
use std::cell::RefCell;
use std::marker::PhantomData;

use serde::de::{MapAccess, SeqAccess};
use serde::{Deserialize, Serialize};

mod any;
mod lists;

pub(super) use any::Any;
use any::{Reads, skip_map, skip_seq};
pub(super) use lists::{Key, Pairs};
use lists::{PairList, Texts};

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
pub(super) struct OneScalar<'w> {
    pub(super) path: &'static str,
    pub(super) warnings: &'w Warnings,
}

impl<'a> Reads<'a> for OneScalar<'_> {
    type Value = Option<Scalar<'a>>;

    fn scalar(self, scalar: Scalar<'a>) -> Self::Value {
        Some(scalar)
    }
    fn null(self) -> Self::Value {
        None
    }
    fn list<A: SeqAccess<'a>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "a list where one value belongs");
        skip_seq(seq).map(|()| None)
    }
    fn object<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(self.path, "an object where one value belongs");
        skip_map(map).map(|()| None)
    }
}

/// The value of an object's current field, still unread.
pub(super) struct Field<'m, 'w, A> {
    pub(super) map: &'m mut A,
    pub(super) warnings: &'w Warnings,
}

impl<'a, A: MapAccess<'a>> Field<'_, '_, A> {
    pub(super) fn skip(self) -> Result<(), A::Error> {
        self.map.next_value::<serde::de::IgnoredAny>().map(drop)
    }

    pub(super) fn scalar(self, path: &'static str) -> Result<Option<Scalar<'a>>, A::Error> {
        self.map.next_value_seed(Any(OneScalar { path, warnings: self.warnings }))
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
        self.map.next_value_seed(Any(OneObject { warnings: self.warnings, of: PhantomData }))
    }

    /// `{values: [T]}`, `[T]` or one `T` alone.
    pub(super) fn values<T: FromFields<'a>>(self) -> Result<Vec<T>, A::Error> {
        self.map.next_value_seed(Any(Values { warnings: self.warnings, of: PhantomData }))
    }

    /// `{k: v}` or `[[k, v]]`; members that are no scalars are skipped.
    pub(super) fn pairs(self, path: &'static str, pairs_max: usize) -> Result<Pairs<'a>, A::Error> {
        self.map.next_value_seed(Any(PairList { path, pairs_max, warnings: self.warnings }))
    }

    /// A list of scalars, or one scalar alone.
    pub(super) fn texts(self, path: &'static str, texts_max: usize) -> Result<Vec<Cow<'a, str>>, A::Error> {
        self.map.next_value_seed(Any(Texts { path, items_max: texts_max, warnings: self.warnings }))
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

/// Reads one object; null is `None`, a list is `None` with a warning.
pub(super) struct OneObject<'w, T> {
    pub(super) warnings: &'w Warnings,
    pub(super) of: PhantomData<T>,
}

impl<'a, T: FromFields<'a>> Reads<'a> for OneObject<'_, T> {
    type Value = Option<T>;

    fn scalar(self, scalar: Scalar<'a>) -> Self::Value {
        let mut item = T::default();
        if item.take_scalar(scalar) {
            return Some(item);
        }
        self.warnings.add(T::PATH, "one value where an object belongs");
        None
    }
    fn null(self) -> Self::Value {
        None
    }
    fn list<A: SeqAccess<'a>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.warnings.add(T::PATH, "a list where an object belongs");
        skip_seq(seq).map(|()| None)
    }
    fn object<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut item = T::default();
        while let Some(Key(key)) = map.next_key()? {
            item.take(&key, Field { map: &mut map, warnings: self.warnings })?;
        }
        Ok(Some(item))
    }
}

/// Reads the objects of a list, of an object with a list `values`, or one object alone.
struct Values<'w, T> {
    warnings: &'w Warnings,
    of: PhantomData<T>,
}

impl<'a, T: FromFields<'a>> Reads<'a> for Values<'_, T> {
    type Value = Vec<T>;

    fn scalar(self, _scalar: Scalar<'a>) -> Self::Value {
        self.warnings.add(T::PATH, "one value where a list belongs");
        Vec::new()
    }
    fn null(self) -> Self::Value {
        Vec::new()
    }
    fn list<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        let one = || Any(OneObject { warnings: self.warnings, of: PhantomData });
        while let Some(item) = seq.next_element_seed(one())? {
            if let Some(item) = item {
                T::add_to(&mut list, item);
            }
        }
        Ok(list)
    }
    fn object<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
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
}
