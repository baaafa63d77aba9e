//! Single values of a JSON body, read in one pass: what nobody asks for is passed over, so that a body takes little more
//! memory than itself, whatever it holds and however deep.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::pointer::Pointer;

/// Which values are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    root: Node,
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The place of this value among those found.
    here: Option<usize>,
    below: BTreeMap<String, Node>,
}

/// What stood at the places that were asked for.
#[derive(Debug)]
pub struct Values(Vec<Option<Found>>);

/// A value that is there and not null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A text, maybe an empty one, a number as it is written, or `true` or `false`.
    Plain(String),
    /// A list or an object.
    Nested,
}

impl Wanted {
    pub fn of<'p>(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let mut wanted = Self::default();
        for pointer in pointers {
            let node =
                pointer.names().fold(&mut wanted.root, |node, name| node.below.entry(name).or_default());
            if node.here.is_none() {
                node.here = Some(wanted.count);
                wanted.count += 1;
            }
        }
        wanted
    }

    fn place(&self, pointer: &Pointer) -> Option<usize> {
        pointer.names().try_fold(&self.root, |node, name| node.below.get(&name))?.here
    }

    /// Whether `pointer` is asked for.
    pub fn has(&self, pointer: &Pointer) -> bool {
        self.place(pointer).is_some()
    }

    /// Reads a body; `None` where it is no JSON. Of a name that stands there twice the last value counts.
    pub fn read(&self, body: &[u8]) -> Option<Values> {
        let mut found = vec![None; self.count];
        let mut json = serde_json::Deserializer::from_slice(body);
        Walk { node: &self.root, found: &mut found }.deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(Values(found))
    }

    /// Of what was read.
    pub fn find<'v>(&self, values: &'v Values, pointer: &Pointer) -> Option<&'v Found> {
        values.0.get(self.place(pointer)?)?.as_ref()
    }
}

impl Found {
    /// A single value; `None` for an empty text, too.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Plain(text) => Some(text).filter(|text| !text.is_empty()),
            Self::Nested => None,
        }
    }

    fn of(raw: &RawValue) -> Result<Option<Self>, serde_json::Error> {
        Ok(match raw.get().as_bytes().first() {
            Some(b'"') => Some(Self::Plain(serde_json::from_str(raw.get())?)),
            Some(b'{' | b'[') => Some(Self::Nested),
            Some(b'n') | None => None,
            Some(_) => Some(Self::Plain(raw.get().to_owned())),
        })
    }
}

impl Node {
    /// Forgets what an earlier value of the same name held.
    fn clear(&self, found: &mut [Option<Found>]) {
        if let Some(at) = self.here {
            found[at] = None;
        }
        self.below.values().for_each(|node| node.clear(found));
    }
}

/// Goes through one value, down only where something is asked for.
struct Walk<'w> {
    node: &'w Node,
    found: &'w mut [Option<Found>],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        self.node.clear(self.found);
        let Some(at) = self.node.here else { return json.deserialize_any(self) };
        let raw = <&RawValue>::deserialize(json)?;
        self.found[at] = Found::of(raw).map_err(Error::custom)?;
        if self.node.below.is_empty() {
            return Ok(());
        }
        serde_json::Deserializer::from_str(raw.get()).deserialize_any(self).map_err(Error::custom)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(node) = map.next_key_seed(Step(self.node))? {
            match node {
                Some(node) => map.next_value_seed(Walk { node, found: &mut *self.found })?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        // `01` names no place of a list.
        let number = |name: &str| name.parse().ok().filter(|at: &usize| at.to_string() == name);
        let below = self.node.below.iter();
        let wanted: BTreeMap<usize, &Node> =
            below.filter_map(|(name, node)| Some((number(name)?, node))).collect();
        for at in 0_usize.. {
            let next = match wanted.get(&at) {
                Some(node) => list.next_element_seed(Walk { node, found: &mut *self.found })?,
                None => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    // Nothing is asked for below a single value.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// From one value to the one of a name in it.
struct Step<'w>(&'w Node);

impl<'de, 'w> DeserializeSeed<'de> for Step<'w> {
    type Value = Option<&'w Node>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for Step<'w> {
    type Value = Option<&'w Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.below.get(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn found(body: &str, wanted: &str) -> Option<Found> {
        let (pointer, others) = (pointer(wanted), ["/a", "/a/b", "/list/1", "/x"].map(pointer));
        let wanted = Wanted::of(others.iter().chain([&pointer]));
        wanted.find(&wanted.read(body.as_bytes())?, &pointer).cloned()
    }

    #[test]
    fn values_are_found_where_pointers_say() {
        let body = r#"{"a":{"b/c":7,"":true,"b":{"d":"deep"}},"big":18446744073709551616,"e":1e3,"t":"\u00e4",
            "list":["y",null,[{"z":-0.10}]],"none":null,"empty":"","":"root"}"#;
        let plain = |text: &str| Some(Found::Plain(text.to_owned()));
        for (pointer, wanted) in [
            ("/a/b~1c", plain("7")),
            ("/a/", plain("true")),
            ("/a/b/d", plain("deep")),
            ("/a/b", Some(Found::Nested)),
            ("/big", plain("18446744073709551616")),
            ("/e", plain("1e3")),
            ("/t", plain("ä")),
            ("/list/0", plain("y")),
            ("/list/00", None),
            ("/list/1", None),
            ("/list/2/0/z", plain("-0.10")),
            ("/list", Some(Found::Nested)),
            ("/none", None),
            ("/empty", plain("")),
            ("/", plain("root")),
            ("/nowhere", None),
            ("/t/0", None),
        ] {
            assert_eq!(found(body, pointer), wanted, "{pointer}");
        }
    }

    #[test]
    fn of_a_doubled_name_the_last_value_counts() {
        assert_eq!(found(r#"{"a":{"b":{"c":1}},"a":2}"#, "/a/b/c"), None);
        assert_eq!(found(r#"{"x":1,"x":"2"}"#, "/x"), Some(Found::Plain("2".to_owned())));
    }

    #[test]
    fn what_is_no_json_holds_nothing() {
        let wanted = Wanted::of(&[pointer("/a")]);
        for body in ["", "no", "{", r#"{"a":1} x"#, r#"{"a":}"#] {
            assert!(wanted.read(body.as_bytes()).is_none(), "{body}");
            assert!(Wanted::default().read(body.as_bytes()).is_none(), "{body}");
        }
        for body in ["7", "null", "[1]", "\"a\"", "{}"] {
            assert!(wanted.find(&wanted.read(body.as_bytes()).unwrap(), &pointer("/a")).is_none(), "{body}");
        }
    }

    /// A tree would refuse it, or take eighty times its length.
    #[test]
    fn neither_depth_nor_length_keeps_a_value_from_being_found() {
        let deep = format!(r#"{{"deep":{}{},"id":"evt_1"}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(found(&deep, "/id"), Some(Found::Plain("evt_1".to_owned())));
        let long = format!(r#"{{"long":[{}0],"id":"evt_1"}}"#, "0,".repeat(5 * 1024 * 1024));
        assert_eq!(found(&long, "/id"), Some(Found::Plain("evt_1".to_owned())));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ab\"é]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab01/~]{0,2}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        /// The tree of `serde_json` is the oracle.
        #[test]
        fn the_same_is_found_as_in_a_tree(
            body in any_json(),
            asked in prop::collection::vec("(/([ab01]|~0|~1){0,2}){1,4}", 1..6),
        ) {
            let asked: Vec<Pointer> = asked.iter().map(|text| pointer(text)).collect();
            let wanted = Wanted::of(&asked);
            let values = wanted.read(body.to_string().as_bytes()).unwrap();
            for pointer in &asked {
                let expected = match body.pointer(pointer.as_str()) {
                    None | Some(Value::Null) => None,
                    Some(Value::Array(_) | Value::Object(_)) => Some(Found::Nested),
                    Some(Value::String(text)) => Some(Found::Plain(text.clone())),
                    Some(other) => Some(Found::Plain(other.to_string())),
                };
                prop_assert_eq!(wanted.find(&values, pointer).cloned(), expected, "{}", pointer);
            }
        }
    }
}
