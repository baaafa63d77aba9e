//! How calls are proved, as the fields of a form, and read from one again: one of what the provider offers, or a scheme
//! written out for a provider that is not known by name.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::fields;
use crate::http::admin::Wrongs;
use crate::http::admin::form::Fields;
use crate::http::problem::sentence;
use crate::webhooks::providers::Provider;
use crate::webhooks::scheme::hmac::{Carrier, Hmac, Key, Layout, Part, Parts, Place, Stamp, Template};
use crate::webhooks::scheme::{Aliases, Header, Scheme, Token, User};

/// The fields as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SchemeDraft {
    /// `0`: as the provider does; `1`…: its others; `own`, `token`, `basic`; `kept`: as it is stored.
    pub(super) pick: String,
    pub(super) signed: String,
    pub(super) header: String,
    pub(super) prefix: String,
    pub(super) algorithm: String,
    pub(super) encoding: String,
    /// `text` or `base64`.
    pub(super) key: String,
    pub(super) time_header: String,
    pub(super) unit: String,
    pub(super) past: String,
    pub(super) id_header: String,
    pub(super) token_header: String,
    pub(super) user: String,
}

/// One that the provider offers.
pub(super) struct Offer {
    pub(super) pick: String,
    pub(super) when: String,
}

impl SchemeDraft {
    /// Of a source that is yet to be made.
    pub(super) fn new() -> Self {
        let text = str::to_owned;
        Self {
            pick: text("0"),
            signed: text("{body}"),
            header: text("x-signature"),
            algorithm: text("sha256"),
            encoding: text("hex"),
            key: text("text"),
            unit: text("seconds"),
            past: text("5m"),
            token_header: text("x-webhook-token"),
            ..Self::default()
        }
    }

    /// Of a stored one: `None` is as the provider does.
    pub(super) fn of(provider: &Provider, stored: Option<&Scheme>) -> Self {
        let Some(stored) = stored else { return Self::new() };
        if let Some(at) = provider.schemes().position(|(_, known)| known == stored) {
            return Self { pick: at.to_string(), ..Self::new() };
        }
        let written = match stored {
            Scheme::Hmac(hmac) => written(hmac),
            Scheme::Token(Token::Header { name }) => {
                Some(Self { pick: "token".to_owned(), token_header: name.to_string(), ..Self::new() })
            }
            Scheme::Token(Token::Basic { user }) => {
                Some(Self { pick: "basic".to_owned(), user: user.clone().into(), ..Self::new() })
            }
            Scheme::Token(Token::Bearer) | Scheme::Twilio | Scheme::None => None,
        };
        // What these fields cannot say stays as it is.
        let says_it =
            |draft: &Self| draft.read(provider, None, &mut Wrongs::default()).as_ref() == Some(stored);
        let kept = || Self { pick: "kept".to_owned(), ..Self::new() };
        written.filter(says_it).unwrap_or_else(kept)
    }

    pub(super) fn typed(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            pick: text("scheme"),
            signed: text("signed"),
            header: text("header"),
            prefix: text("prefix"),
            algorithm: text("algorithm"),
            encoding: text("encoding"),
            key: text("key_kind"),
            time_header: text("time_header"),
            unit: text("unit"),
            past: text("past"),
            id_header: text("id_header"),
            token_header: text("token_header"),
            user: text("user"),
        }
    }

    /// What it says; nothing where it is as the provider does, or where something is wrong with it.
    pub(super) fn read(
        &self,
        provider: &Provider,
        stored: Option<&Scheme>,
        wrongs: &mut Wrongs,
    ) -> Option<Scheme> {
        match self.pick.as_str() {
            "" | "0" => None,
            "kept" => stored.cloned(),
            "own" => self.hmac(wrongs).map(|hmac| Scheme::Hmac(Box::new(hmac))),
            "token" => header("token_header", &self.token_header, wrongs)
                .map(|name| Scheme::Token(Token::Header { name })),
            "basic" if self.user.is_empty() => {
                wrongs.add("user", "Write the name that the sender signs in with.");
                None
            }
            "basic" => User::try_from(self.user.clone())
                .map_err(|bad| wrongs.add("user", sentence(bad.to_string().trim_start_matches("user: "))))
                .map(|user| Scheme::Token(Token::Basic { user }))
                .ok(),
            pick => {
                let at = pick.parse().ok();
                let chosen = at.and_then(|at: usize| provider.schemes().nth(at));
                if chosen.is_none() {
                    wrongs.add("scheme", "Choose how a call is proved.");
                }
                chosen.map(|(_, scheme)| scheme.clone())
            }
        }
    }

    fn hmac(&self, wrongs: &mut Wrongs) -> Option<Hmac> {
        let signed = Template::parse(&self.signed)
            .map_err(|bad| wrongs.add("signed", sentence(&bad.to_string())))
            .ok();
        let headers = aliases("header", &self.header, wrongs);
        let past = fields::time("past", &self.past, wrongs);
        let stamp = match self.time_header.as_str() {
            "" => Some(None),
            text => aliases("time_header", text, wrongs).map(|headers| Some(self.stamp(headers, past))),
        };
        let id = match self.id_header.as_str() {
            "" => Some(None),
            text => aliases("id_header", text, wrongs).map(Some),
        };
        let layout = match self.prefix.as_str() {
            "" => Layout::Plain,
            prefix => Layout::Prefixed(prefix.to_owned()),
        };
        let parts = Parts {
            signed: signed?,
            algorithm: word(&self.algorithm),
            key: if self.key == "base64" { Key::Base64(String::new()) } else { Key::Text },
            encoding: word(&self.encoding),
            signature: Carrier { headers: headers?, layout },
            timestamp: stamp?,
            id: id?,
            ignored: Vec::new(),
        };
        Hmac::try_from(parts)
            .map_err(|invalid| {
                let (field, text) = at_field(&invalid.to_string());
                wrongs.add(field, sentence(&text));
            })
            .ok()
    }

    fn stamp(&self, headers: Aliases, past: Option<std::time::Duration>) -> Stamp {
        let past = past.unwrap_or(std::time::Duration::from_mins(5));
        Stamp {
            place: Place::Headers(headers),
            unit: word(&self.unit),
            past,
            future: past,
            receiver_past: None,
        }
    }

    /// Whether a scheme is written out here.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.pick.as_str(), "own" | "token" | "basic")
    }
}

/// What a provider offers, in words.
pub(super) fn offers(provider: &Provider) -> Vec<Offer> {
    let when = |when: Option<&str>| when.map_or_else(|| usual(provider), str::to_owned);
    let offer =
        |(at, (said, _)): (usize, (Option<&str>, &Scheme))| Offer { pick: at.to_string(), when: when(said) };
    provider.schemes().enumerate().map(offer).collect()
}

fn usual(provider: &Provider) -> String {
    if provider.id == "generic" {
        return "A signature of the body stands in x-signature: HMAC with SHA-256, in hex.".to_owned();
    }
    format!("As {} does it by itself.", provider.name)
}

/// A mistake of a scheme begins with the field that it names.
fn at_field(text: &str) -> (&'static str, String) {
    let table =
        [("signed", "signed"), ("timestamp", "time_header"), ("id", "id_header"), ("signature", "prefix")];
    let found = table.into_iter().find_map(|(word, field)| {
        let rest = text.strip_prefix(word)?.strip_prefix(": ")?;
        Some((field, rest.to_owned()))
    });
    found.unwrap_or_else(|| ("header", text.to_owned()))
}

fn header(field: &'static str, text: &str, wrongs: &mut Wrongs) -> Option<Header> {
    Header::parse(&text.to_lowercase()).map_err(|bad| wrongs.add(field, sentence(&bad.to_string()))).ok()
}

/// One name, or several with commas between them.
fn aliases(field: &'static str, text: &str, wrongs: &mut Wrongs) -> Option<Aliases> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let headers: Option<Vec<Header>> = names.map(|name| header(field, name, wrongs)).collect();
    Aliases::try_from(headers?).map_err(|bad| wrongs.add(field, sentence(&bad.to_string()))).ok()
}

/// A choice by its word; the usual one where it is none.
fn word<C: DeserializeOwned + Default>(text: &str) -> C {
    serde_json::from_value(json!(text)).unwrap_or_default()
}

fn word_of(choice: impl Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn names(headers: &Aliases) -> String {
    headers.names().collect::<Vec<_>>().join(", ")
}

fn written(hmac: &Hmac) -> Option<SchemeDraft> {
    let hmac = hmac.parts();
    let prefix = match &hmac.signature.layout {
        Layout::Plain => String::new(),
        Layout::Prefixed(prefix) => prefix.clone(),
        Layout::Pairs { .. } | Layout::Versions(_) => return None,
    };
    let time_header = match hmac.timestamp.as_ref().map(|stamp| &stamp.place) {
        None => String::new(),
        Some(Place::Headers(headers)) => names(headers),
        Some(Place::Pair(_) | Place::Pointer(_)) => return None,
    };
    let past = hmac.timestamp.as_ref().map(|stamp| crate::base::span::format(stamp.past));
    Some(SchemeDraft {
        pick: "own".to_owned(),
        signed: String::from(hmac.signed.clone()),
        header: names(&hmac.signature.headers),
        prefix,
        algorithm: word_of(hmac.algorithm),
        encoding: word_of(hmac.encoding),
        key: if hmac.key == Key::Text { "text" } else { "base64" }.to_owned(),
        time_header,
        unit: hmac.timestamp.as_ref().map_or_else(|| "seconds".to_owned(), |stamp| word_of(stamp.unit)),
        past: past.unwrap_or_else(|| "5m".to_owned()),
        id_header: hmac.id.as_ref().map(names).unwrap_or_default(),
        ..SchemeDraft::new()
    })
    .filter(|_| hmac.signed.has(Part::Body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::providers;

    fn generic() -> &'static Provider {
        providers::find("generic").unwrap()
    }

    #[test]
    fn a_scheme_that_is_written_out_is_read_back_as_it_was() {
        let draft = SchemeDraft {
            pick: "own".to_owned(),
            signed: "v1:{timestamp}:{body}".to_owned(),
            header: "X-Acme-Signature, x-old-signature".to_owned(),
            prefix: "v1=".to_owned(),
            algorithm: "sha512".to_owned(),
            encoding: "base64".to_owned(),
            key: "base64".to_owned(),
            time_header: "x-acme-time".to_owned(),
            unit: "milliseconds".to_owned(),
            past: "2m".to_owned(),
            ..SchemeDraft::new()
        };
        let mut wrongs = Wrongs::default();
        let scheme = draft.read(generic(), None, &mut wrongs).unwrap();
        assert!(wrongs.is_empty());
        let lower = SchemeDraft { header: "x-acme-signature, x-old-signature".to_owned(), ..draft };
        assert_eq!(SchemeDraft::of(generic(), Some(&scheme)), lower);
        let token =
            SchemeDraft { pick: "token".to_owned(), token_header: "x-key".to_owned(), ..SchemeDraft::new() };
        let scheme = token.read(generic(), None, &mut wrongs).unwrap();
        assert_eq!(SchemeDraft::of(generic(), Some(&scheme)), token);
    }

    #[test]
    fn what_the_provider_offers_is_a_choice_and_what_no_field_can_say_stays() {
        for provider in providers::all() {
            for (at, (_, scheme)) in provider.schemes().enumerate() {
                assert_eq!(SchemeDraft::of(provider, Some(scheme)).pick, at.to_string(), "{}", provider.id);
            }
        }
        let strange = &providers::find("stripe").unwrap().scheme;
        let draft = SchemeDraft::of(generic(), Some(strange));
        assert_eq!(draft.pick, "kept");
        assert_eq!(draft.read(generic(), Some(strange), &mut Wrongs::default()).as_ref(), Some(strange));
    }

    #[test]
    fn each_mistake_stands_at_its_field() {
        let own = SchemeDraft { pick: "own".to_owned(), ..SchemeDraft::new() };
        for (draft, field, says) in [
            (SchemeDraft { signed: "{bdy}".to_owned(), ..own.clone() }, "signed", "{bdy} is unknown"),
            (SchemeDraft { signed: "{timestamp}".to_owned(), ..own.clone() }, "signed", "{body} is missing"),
            (SchemeDraft { header: "no header".to_owned(), ..own.clone() }, "header", "no name of a header"),
            (SchemeDraft { time_header: "x-time".to_owned(), ..own.clone() }, "time_header", "anybody could"),
            (SchemeDraft { id_header: "x-id".to_owned(), ..own.clone() }, "id_header", "not part of what"),
            (SchemeDraft { past: "soon".to_owned(), ..own.clone() }, "past", "5m"),
            (SchemeDraft { pick: "basic".to_owned(), ..own.clone() }, "user", "Write the name"),
            (SchemeDraft { pick: "17".to_owned(), ..own }, "scheme", "Choose"),
        ] {
            let mut wrongs = Wrongs::default();
            draft.read(generic(), None, &mut wrongs);
            assert!(wrongs.of(field).contains(says), "{field}: {}", wrongs.of(field));
        }
    }
}
