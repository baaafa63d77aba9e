//! What the address of a ping says.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::base::Uid;
use crate::heartbeats::{Action, Address, Slug};

/// A ping by its address alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub address: Address,
    pub action: Action,
    pub rid: Option<[u8; 16]>,
    create: bool,
}

/// Why an address is none of a ping, in the words of healthchecks.io.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPing {
    #[error("invalid url format")]
    Format,
    #[error("invalid uuid format")]
    Rid,
}

/// A key is 22 characters; what is much longer is none.
const KEY_CHARS_MAX: usize = 100;

impl Parsed {
    /// The slug that is to be made where there is none.
    pub fn created(&self) -> Option<&Slug> {
        match &self.address {
            Address::Slug { slug, .. } if self.create => Some(slug),
            Address::Slug { .. } | Address::Id(_) => None,
        }
    }
}

/// Reads `/ping/{uuid}` and `/ping/{key}/{slug}`, each with `/start`, `/fail`, `/log` or an exit status behind it, a slash
/// at the end or none, and `rid=` and `create=1`.
///
/// # Errors
/// [`BadPing`], whose text is the answer.
pub fn parse(path: &str, query: &str) -> Result<Parsed, BadPing> {
    let path = path.strip_prefix("/ping/").unwrap_or(path);
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).splitn(4, '/').collect();
    let (address, action) = match parts[..] {
        [uid] => (uuid(uid)?, Action::Success),
        [first, second] => match uuid(first) {
            Ok(address) => (address, action(second)?),
            Err(_) => (by_slug(first, second)?, Action::Success),
        },
        [key, slug, third] => (by_slug(key, slug)?, action(third)?),
        _ => return Err(BadPing::Format),
    };
    let rid = match parameter(query, "rid") {
        Some(text) => Some(hyphenated(&text).ok_or(BadPing::Rid)?.into_bytes()),
        None => None,
    };
    let create = parameter(query, "create").is_some_and(|value| value == "1");
    Ok(Parsed { address, action, rid, create })
}

fn uuid(text: &str) -> Result<Address, BadPing> {
    hyphenated(text).map(|uuid| Address::Id(Uid(uuid))).ok_or(BadPing::Format)
}

/// A UUID in any case, with its dashes.
fn hyphenated(text: &str) -> Option<uuid::Uuid> {
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| uuid::Uuid::try_parse(text).ok()).flatten()
}

fn by_slug(key: &str, slug: &str) -> Result<Address, BadPing> {
    let is_key = (1..=KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let slug = slug.parse().map_err(|_| BadPing::Format)?;
    if is_key { Ok(Address::Slug { key: key.to_owned(), slug }) } else { Err(BadPing::Format) }
}

fn action(text: &str) -> Result<Action, BadPing> {
    match text {
        "start" => Ok(Action::Start),
        "fail" => Ok(Action::Fail),
        "log" => Ok(Action::Log),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map(Action::Exit).map_err(|_| BadPing::Format)
        }
        _ => Err(BadPing::Format),
    }
}

/// The first value of this name.
fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs.into_iter().find(|(known, _)| *known == name)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0190c2f4-8c1e-7d3a-9b5e-3f2a1c4d5e6f";
    const KEY: &str = "abcDEF_-0123456789abcd";

    fn read(path: &str, query: &str) -> Result<(bool, Action), BadPing> {
        parse(path, query).map(|parsed| (matches!(parsed.address, Address::Id(_)), parsed.action))
    }

    #[test]
    fn every_documented_form_is_understood() {
        for (tail, action) in [
            ("", Action::Success),
            ("/", Action::Success),
            ("/start", Action::Start),
            ("/fail/", Action::Fail),
            ("/log", Action::Log),
            ("/0", Action::Exit(0)),
            ("/255", Action::Exit(255)),
            ("/007", Action::Exit(7)),
        ] {
            assert_eq!(read(&format!("/ping/{UID}{tail}"), ""), Ok((true, action)), "{tail}");
            assert_eq!(
                read(&format!("/ping/{}{tail}", UID.to_uppercase()), ""),
                Ok((true, action)),
                "{tail}"
            );
            assert_eq!(read(&format!("/ping/{KEY}/db-backup{tail}"), ""), Ok((false, action)), "{tail}");
        }
    }

    #[test]
    fn what_is_no_ping_is_told_in_the_documented_words() {
        let uid = |tail: &str| format!("/ping/{UID}{tail}");
        for path in [
            uid("/256"),
            uid("/99999999999999999999"),
            uid("/stop"),
            uid("/-1"),
            uid("//"),
            uid("/start/x"),
            "/ping/".to_owned(),
            "/ping/nothing".to_owned(),
            format!("/ping/{}", UID.replace('-', "")),
            format!("/ping/{KEY}/Backup"),
            format!("/ping/{KEY}/a%20b"),
            format!("/ping/{KEY}/a/b/c"),
            "/ping/k%00y/slug".to_owned(),
            format!("/ping/{}/slug", "k".repeat(101)),
        ] {
            assert_eq!(
                read(&path, "").map_err(|bad| bad.to_string()),
                Err("invalid url format".to_owned()),
                "{path}"
            );
        }
        for rid in ["rid=", "rid=1", "a=b&rid=zz", &format!("rid={}", UID.replace('-', ""))] {
            assert_eq!(read(&uid(""), rid).unwrap_err().to_string(), "invalid uuid format", "{rid}");
        }
    }

    #[test]
    fn the_query_says_which_run_and_whether_to_make_it() {
        let parsed =
            parse(&format!("/ping/{KEY}/new"), &format!("create=1&rid={}", UID.to_uppercase())).unwrap();
        assert_eq!(parsed.created().map(Slug::as_str), Some("new"));
        assert_eq!(parsed.rid, hyphenated(UID).map(uuid::Uuid::into_bytes));
        for query in ["", "create", "create=0", "xcreate=1"] {
            assert_eq!(parse(&format!("/ping/{KEY}/new"), query).unwrap().created(), None, "{query}");
        }
        assert_eq!(parse(&format!("/ping/{UID}"), "create=1").unwrap().created(), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(path in "(/ping/)?.{0,80}", query in ".{0,60}") {
            parse(&path, &query).ok();
        }
    }
}
