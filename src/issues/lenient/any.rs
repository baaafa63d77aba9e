//! One reader for JSON of every type: what serde calls by a dozen names is four things here.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Scalar;

/// What becomes of a JSON value, whichever of the four it is.
pub(in crate::issues) trait Reads<'a>: Sized {
    type Value;

    fn scalar(self, scalar: Scalar<'a>) -> Self::Value;
    fn null(self) -> Self::Value;
    fn list<A: SeqAccess<'a>>(self, seq: A) -> Result<Self::Value, A::Error>;
    fn object<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error>;
}

/// Hands a value to its reader.
pub(in crate::issues) struct Any<R>(pub(in crate::issues) R);

impl<'a, R: Reads<'a>> DeserializeSeed<'a> for Any<R> {
    type Value = R::Value;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<R::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, R: Reads<'a>> Visitor<'a> for Any<R> {
    type Value = R::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<R::Value, E> {
        Ok(self.0.scalar(Scalar::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<R::Value, E> {
        Ok(self.0.scalar(Scalar::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_i64<E>(self, number: i64) -> Result<R::Value, E> {
        Ok(self.0.scalar(Scalar::Int(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<R::Value, E> {
        let text = |_| Scalar::Text(Cow::Owned(number.to_string()));
        Ok(self.0.scalar(i64::try_from(number).map_or_else(text, Scalar::Int)))
    }
    fn visit_f64<E>(self, number: f64) -> Result<R::Value, E> {
        Ok(self.0.scalar(Scalar::Float(number)))
    }
    fn visit_bool<E>(self, value: bool) -> Result<R::Value, E> {
        Ok(self.0.scalar(Scalar::Bool(value)))
    }
    fn visit_unit<E>(self) -> Result<R::Value, E> {
        Ok(self.0.null())
    }
    fn visit_seq<A: SeqAccess<'a>>(self, seq: A) -> Result<R::Value, A::Error> {
        self.0.list(seq)
    }
    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<R::Value, A::Error> {
        self.0.object(map)
    }
}

pub(super) fn skip_seq<'a, A: SeqAccess<'a>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

pub(super) fn skip_map<'a, A: MapAccess<'a>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}
