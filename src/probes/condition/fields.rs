//! What a kind of probe can be asked about.

use super::value::Unit;
use crate::base::nearest::nearest;

/// The fields of a kind of probe.
#[derive(Clone, Copy, Debug)]
pub struct Fields(pub &'static [Field]);

#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Lower case, parts joined by dots: `cert.expires_in`.
    pub name: &'static str,
    pub kind: FieldKind,
    /// What it is, in one line, for the form and the documentation.
    pub says: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Number(Unit),
    Text,
    Flag,
    /// A text, and whatever lies below it where it is JSON: what was answered, its headers.
    Tree(Names),
}

/// How the names right below a tree are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    AsTyped,
    /// Whatever case they are typed in (of headers, RFC 9110 §5.1).
    InLowerCase,
}

impl Fields {
    /// The longest field that `parts` begin with, and how many of them are its name.
    pub(super) fn find(&self, parts: &[&str]) -> Option<(&'static Field, usize)> {
        self.0
            .iter()
            .filter_map(|field| {
                let length = field.name.split('.').count();
                let named =
                    parts.len() >= length && field.name.split('.').eq(parts[..length].iter().copied());
                named.then_some((field, length))
            })
            .max_by_key(|(_, length)| *length)
    }

    /// The field that somebody probably meant.
    pub(super) fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.0.iter().map(|field| field.name))
    }

    pub(super) fn names(&self) -> String {
        self.0.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
    }
}
