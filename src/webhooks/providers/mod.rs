//! Providers whose webhooks are understood, one file of data each in `rows/`: how they sign, how their events are
//! told apart, what they want to hear, and what a person does to set them up.

pub mod content;
pub mod deploy;
pub mod identity;
pub mod mail;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde::Deserialize;

pub use self::content::Content;
pub use self::deploy::{DeployMark, DeployRule};
pub use self::identity::{BadRules, Identity, Part, Rules, Way};
pub use self::mail::{MailOutcome, MailRules};
use crate::base::Secret;
use crate::base::text::clip;
use crate::webhooks::pointer::Pointer;
use crate::webhooks::scheme::{Call, Scheme, Verified};

/// Everything that is known of one provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// As files and addresses name it.
    pub id: String,
    pub name: String,
    /// The provider's own page about its signatures; empty where there is no one provider.
    pub documented_at: String,
    /// What is asked of a person; nothing where the scheme has no secret.
    pub secret: Option<SecretHint>,
    pub scheme: Scheme,
    /// What else the provider can be set up to do.
    #[serde(default)]
    pub other_schemes: Vec<OtherScheme>,
    pub rules: Rules,
    /// What to order by, where somebody wants an order and names nothing: the first that is there.
    #[serde(default)]
    pub order_key_suggested: Vec<Pointer>,
    #[serde(default)]
    pub answer: Answer,
    pub challenge: Option<Challenge>,
    pub ping: Option<Ping>,
    /// How long the provider tries again, in a sentence; nothing where it does not say.
    pub retries: Option<String>,
    /// What to know of deliveries long after the call, in a sentence.
    pub late: Option<String>,
    /// What to do at the provider, line by line; `{url}` stands for the address of the source.
    pub steps: Vec<String>,
    pub mail: Option<MailRules>,
    pub deploy: Option<DeployRule>,
}

/// What the secret is called at the provider, and how it begins there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHint {
    pub label: String,
    /// A secret that begins otherwise is warned of, not refused. Empty: unknown.
    #[serde(default)]
    pub begins_with: Vec<String>,
}

/// Another scheme of the same provider, and when to choose it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherScheme {
    pub when: String,
    pub scheme: Scheme,
}

/// What a caller hears.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            content_type: "application/json".to_owned(),
            body: r#"{"received":true}"#.to_owned(),
        }
    }
}

/// A verified call that is no event: it wants to hear a text out of its body, at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    pub when: deploy::Equals,
    pub echo: Pointer,
}

/// A call without a signature that only asks whether somebody is there: a form of this field alone, with a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    pub field: String,
}

const CHALLENGE_CHARS_MAX: usize = 500;
const PING_BYTES_MAX: usize = 100;
/// What is shorter can be guessed.
const SECRET_BYTES_USUAL: usize = 16;

const ROWS: [&str; 20] = [
    include_str!("rows/stripe.toml"),
    include_str!("rows/github.toml"),
    include_str!("rows/twilio.toml"),
    include_str!("rows/slack.toml"),
    include_str!("rows/shopify.toml"),
    include_str!("rows/standard.toml"),
    include_str!("rows/svix.toml"),
    include_str!("rows/clerk.toml"),
    include_str!("rows/resend.toml"),
    include_str!("rows/openai.toml"),
    include_str!("rows/linear.toml"),
    include_str!("rows/gitlab.toml"),
    include_str!("rows/vercel.toml"),
    include_str!("rows/vapi.toml"),
    include_str!("rows/paddle.toml"),
    include_str!("rows/woocommerce.toml"),
    include_str!("rows/sentry.toml"),
    include_str!("rows/postmark.toml"),
    include_str!("rows/square.toml"),
    include_str!("rows/generic.toml"),
];

static ALL: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let read =
        |row: &&str| toml::from_str(row).expect("the rows are part of the program, and a test reads each");
    ROWS.iter().map(read).collect()
});

/// All of them, in the order of a list.
pub fn all() -> &'static [Provider] {
    &ALL
}

pub fn find(id: &str) -> Option<&'static Provider> {
    all().iter().find(|provider| provider.id == id)
}

impl Provider {
    /// Its scheme and the others that it can be set up for, each with when to choose it; the first has none.
    pub fn schemes(&self) -> impl Iterator<Item = (Option<&str>, &Scheme)> {
        let others = self.other_schemes.iter().map(|other| (Some(other.when.as_str()), &other.scheme));
        std::iter::once((None, &self.scheme)).chain(others)
    }

    /// What it asks of a JSON body besides its rules.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let challenge =
            self.challenge.iter().flat_map(|challenge| [&challenge.when.pointer, &challenge.echo]);
        let deploy = self.deploy.iter().flat_map(DeployRule::pointers);
        challenge.chain(deploy).chain(self.mail.iter().flat_map(MailRules::pointers))
    }

    /// What a call wants to hear that is no event; nothing of it is stored or passed on. Asked only of a call that was
    /// believed: a stranger would be told that somebody listens for its provider here.
    pub fn challenge(&self, content: &Content<'_>, _: &Verified) -> Option<Answer> {
        let challenge = self.challenge.as_ref().filter(|challenge| challenge.when.holds(content))?;
        let body = clip(&content.text(&challenge.echo)?, CHALLENGE_CHARS_MAX).into_owned();
        Some(Answer { status: 200, content_type: "text/plain; charset=utf-8".to_owned(), body })
    }

    /// Whether the call is a ping, to be answered as any other before anybody asks who signed it, and never stored. Of
    /// what a stranger sends, no more is read than a ping is long.
    pub fn is_ping(&self, call: &Call<'_>, content: &Content<'_>) -> bool {
        let Some(ping) = &self.ping else { return false };
        if call.body.len() > PING_BYTES_MAX || call.body.contains(&b'&') {
            return false;
        }
        let number = content.field(&ping.field).unwrap_or_default();
        !number.is_empty() && number.iter().all(u8::is_ascii_digit)
    }

    /// The warning about a secret that is probably the wrong one, or that somebody could guess.
    pub fn secret_warning(&self, secret: &Secret) -> Option<String> {
        let hint = self.secret.as_ref()?;
        let is_usual = hint.begins_with.is_empty()
            || hint.begins_with.iter().any(|beginning| secret.expose().starts_with(beginning));
        if !is_usual {
            let beginnings = hint.begins_with.join(" or ");
            return Some(format!("{} usually begins with {beginnings}: is it the right one?", hint.label));
        }
        let is_short = secret.expose().len() < SECRET_BYTES_USUAL;
        is_short.then(|| {
            format!("{} is shorter than {SECRET_BYTES_USUAL} characters: take a long random one", hint.label)
        })
    }
}
