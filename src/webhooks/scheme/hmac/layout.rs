//! Where a signature stands in its header, alone or among others.

use serde::{Deserialize, Serialize};

use super::{Algorithm, Encoding, Invalid};
use crate::webhooks::scheme::header::Aliases;
use crate::webhooks::scheme::refusal::Refusal;

/// The header with the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carrier {
    pub headers: Aliases,
    #[serde(default)]
    pub layout: Layout,
}

/// How the value of that header is made up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layout {
    /// The signature and nothing else.
    #[default]
    Plain,
    /// The signature behind this text: `sha256=` of GitHub, `v0=` of Slack.
    Prefixed(String),
    /// Pairs, of which several may hold a signature and others are passed over: `t=…,v1=…` of Stripe.
    Pairs {
        separator: char,
        #[serde(default = "equals", skip_serializing_if = "is_equals")]
        equals: char,
        /// Of the pairs with a signature.
        key: String,
    },
    /// Signatures with a space between them, each behind its version and a comma; other versions are passed over:
    /// `v1,… v1,…` of Standard Webhooks.
    Versions(String),
}

const fn equals() -> char {
    '='
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_equals(equals: &char) -> bool {
    *equals == '='
}

/// What a header held: signatures that may be right, and other pairs.
pub(super) struct Carried<'c> {
    pub(super) signatures: Vec<Vec<u8>>,
    pairs: Vec<(&'c str, &'c str)>,
}

/// While a secret is changed, providers sign with two; more than this many are an attempt to guess.
const SIGNATURES_MAX: usize = 16;
const TEXT_CHARS_MAX: usize = 40;

impl Carrier {
    pub(super) fn read<'c>(
        &self,
        value: &'c str,
        algorithm: Algorithm,
        encoding: Encoding,
    ) -> Result<Carried<'c>, Refusal> {
        let (texts, pairs) = self.layout.split(value);
        if texts.is_empty() {
            let wanted = self.layout.kind().to_owned();
            return Err(Refusal::SignatureVersion { header: self.headers.first().to_owned(), wanted });
        }
        let count = texts.len();
        let signatures: Vec<Vec<u8>> =
            texts.into_iter().filter_map(|text| encoding.read(text, algorithm.bytes())).collect();
        if signatures.is_empty() || count > SIGNATURES_MAX {
            let wanted = format!("{} bytes in {}", algorithm.bytes(), encoding.as_str());
            return Err(Refusal::SignatureMalformed { header: self.headers.first().to_owned(), wanted });
        }
        Ok(Carried { signatures, pairs })
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.layout.check().map_err(|reason| Invalid::Field { field: "signature", reason })
    }
}

impl<'c> Carried<'c> {
    /// The one pair of this key.
    pub(super) fn pair(&self, key: &str) -> Option<&'c str> {
        let mut found = self.pairs.iter().filter(|(known, _)| *known == key).map(|(_, value)| *value);
        let value = found.next()?;
        found.next().is_none().then_some(value)
    }
}

impl Layout {
    /// Texts that should be signatures, and all pairs where there are any.
    fn split<'c>(&self, value: &'c str) -> (Vec<&'c str>, Vec<(&'c str, &'c str)>) {
        match self {
            Self::Plain => (vec![value], Vec::new()),
            Self::Prefixed(prefix) => (value.strip_prefix(prefix.as_str()).into_iter().collect(), Vec::new()),
            Self::Pairs { separator, equals, key } => {
                let pairs: Vec<(&str, &str)> =
                    value.split(*separator).filter_map(|pair| pair.trim().split_once(*equals)).collect();
                let signatures = pairs.iter().filter(|(known, _)| known == key);
                (signatures.map(|(_, signature)| *signature).collect(), pairs)
            }
            Self::Versions(version) => {
                let parts = value.split(' ').filter_map(|part| part.split_once(','));
                let known = parts.filter(|(found, _)| found == version).map(|(_, signature)| signature);
                (known.collect(), Vec::new())
            }
        }
    }

    /// The value of the header; `time` is written into pairs.
    pub(super) fn write(&self, signature: &str, time: Option<(&str, &str)>) -> String {
        match self {
            Self::Plain => signature.to_owned(),
            Self::Prefixed(prefix) => format!("{prefix}{signature}"),
            Self::Pairs { separator, equals, key } => {
                let time = time.map(|(key, time)| format!("{key}{equals}{time}{separator}"));
                format!("{}{key}{equals}{signature}", time.unwrap_or_default())
            }
            Self::Versions(version) => format!("{version},{signature}"),
        }
    }

    pub(super) fn signature_key(&self) -> Option<&str> {
        match self {
            Self::Pairs { key, .. } => Some(key),
            Self::Plain | Self::Prefixed(_) | Self::Versions(_) => None,
        }
    }

    /// What tells its signatures from others.
    fn kind(&self) -> &str {
        match self {
            Self::Plain => "",
            Self::Prefixed(prefix) => prefix,
            Self::Pairs { key, .. } => key,
            Self::Versions(version) => version,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let text = self.kind();
        let may_be_blank = matches!(self, Self::Prefixed(_)) && !text.starts_with(' ');
        let is_visible = text.chars().all(|c| c.is_ascii_graphic() || (c == ' ' && may_be_blank));
        if text.len() > TEXT_CHARS_MAX || !is_visible {
            return Err("what stands before a signature is at most 40 visible characters");
        }
        match self {
            Self::Plain => Ok(()),
            _ if text.is_empty() => Err("say what stands before a signature, or use the layout plain"),
            Self::Pairs { separator, equals, key } => {
                let is_mark = |mark: char| mark.is_ascii_punctuation();
                if separator == equals || !is_mark(*separator) || !is_mark(*equals) {
                    Err("separator and equals are two different marks, such as , and =")
                } else if key.contains([*separator, *equals]) {
                    Err("the key holds a mark that separates pairs")
                } else {
                    Ok(())
                }
            }
            Self::Versions(version) if version.contains(',') => Err("a version holds no comma"),
            Self::Prefixed(_) | Self::Versions(_) => Ok(()),
        }
    }
}
