//! Mail about an account carries a link that signs in: a secret, sealed in the row until the mail is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::facts::{AccountFacts, AccountMatter};
use super::load::{LoadError, content};
use crate::base::seal::{SealError, Sealer};
use crate::base::{Entropy, Secret, Severity, Timestamp};
use crate::incidents::{Cause, ChannelId, NewDelivery, Purpose};

/// A mail to one person about their account.
pub struct AccountMail {
    /// The mail channel that carries it.
    pub channel: ChannelId,
    pub recipient: String,
    pub matter: AccountMatter,
    /// `/sign-in/…`, with its one-use token.
    pub link_path: Secret,
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Content {
    matter: AccountMatter,
    /// Sealed for its recipient, in base64.
    sealed_path: String,
    expires_at: Timestamp,
}

/// The delivery to be written with its cause.
///
/// # Errors
/// [`SealError`] where the link cannot be sealed.
pub fn delivery(sealer: &Sealer, entropy: &Entropy, mail: AccountMail) -> Result<NewDelivery, SealError> {
    let sealed = sealer.seal(entropy, &mail.link_path, &seal_context(&mail.recipient))?;
    let (matter, expires_at) = (mail.matter, mail.expires_at);
    let content = Content { matter, sealed_path: STANDARD.encode(sealed), expires_at };
    Ok(NewDelivery {
        project: None,
        incident: None,
        cause: Cause::Account,
        purpose: Purpose::Account,
        severity: Severity::Low,
        channel: Some(mail.channel),
        recipient: Some(mail.recipient),
        content: json!(content),
        quantity: 1,
    })
}

pub(super) fn open(sealer: &Sealer, recipient: &str, stored: &Value) -> Result<AccountFacts, LoadError> {
    let Content { matter, sealed_path, expires_at } = content(stored)?;
    let sealed = STANDARD.decode(sealed_path).map_err(|_| SealError::Damaged)?;
    let link_path = sealer.open(&sealed, &seal_context(recipient))?.expose().to_owned();
    Ok(AccountFacts { matter, link_path, expires_at })
}

/// The link opens only for the person it was made for.
fn seal_context(recipient: &str) -> String {
    format!("account:{recipient}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_signs_in_stands_nowhere_in_the_row_and_opens_for_its_reader_alone() {
        let sealer = Sealer::new(&[7; 32]);
        let mail = AccountMail {
            channel: ChannelId(1),
            recipient: "ann@example.org".to_owned(),
            matter: AccountMatter::Invitation,
            link_path: Secret::new("/sign-in/topsecret"),
            expires_at: Timestamp::from_secs(1_800_000_000),
        };
        let row = delivery(&sealer, &Entropy::seeded(1), mail).unwrap();
        assert!(!row.content.to_string().contains("topsecret"), "{}", row.content);
        let facts = open(&sealer, "ann@example.org", &row.content).unwrap();
        assert_eq!(facts.link_path, "/sign-in/topsecret");
        assert!(open(&sealer, "eve@example.org", &row.content).is_err());
    }
}
