//! Webhooks to any address: one flat JSON body, signed the Standard Webhooks way.

mod answer;
pub(super) mod body;
mod sign;

use serde::{Deserialize, Serialize};

use super::channel::{ConfigError, Outgoing, Parts, SEND_TIMEOUT, SendError, Sent, Transport};
use crate::base::{Entropy, Secret};
use crate::outbound::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use crate::outbound::{Method, Reach, Request, Url};

pub use sign::SigningKey;

/// A webhook channel.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Kept as a secret: many receivers put their key into the path.
    pub url: Secret,
    /// Unsigned without it.
    pub signing_key: Option<SigningKey>,
    pub reach: Reach,
}

/// `channels.settings` of a webhook channel: nothing yet.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    url: Secret,
    #[serde(default)]
    signing_secret: Option<Secret>,
}

impl Webhook {
    pub(super) fn parse(settings: &str, secrets: Option<&Secret>, reach: Reach) -> Result<Self, ConfigError> {
        let Settings {} =
            serde_json::from_str(settings).map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        let sealed = secrets.ok_or(ConfigError::Missing("the address"))?;
        let secrets: Secrets = serde_json::from_str(sealed.expose())
            .map_err(|_| ConfigError::Unreadable("the secrets are not readable".to_owned()))?;
        Url::parse(secrets.url.expose())
            .map_err(|error| ConfigError::BadUrl { field: "the address", reason: error.to_string() })?;
        let signing_key = match &secrets.signing_secret {
            Some(text) => Some(SigningKey::parse(text).ok_or(ConfigError::BadSigningSecret)?),
            None => None,
        };
        Ok(Self { url: secrets.url, signing_key, reach })
    }

    pub(super) fn parts(&self) -> Parts {
        let mut secrets = serde_json::json!({ "url": self.url.expose() });
        if let Some(key) = &self.signing_key {
            secrets["signing_secret"] = key.text().expose().into();
        }
        Parts { settings: serde_json::json!({}), secrets: Some(Secret::new(secrets.to_string())) }
    }

    pub(super) fn describe(&self) -> String {
        let origin = Url::parse(self.url.expose()).map(|url| url.origin().ascii_serialization());
        format!("webhook at {}", origin.unwrap_or_else(|_| "an unreadable address".to_owned()))
    }

    /// A new `whsec_` secret of 32 bytes.
    pub fn new_signing_key(entropy: &Entropy) -> SigningKey {
        SigningKey::new(entropy.bytes::<32>().to_vec())
    }

    pub(super) async fn send(
        &self,
        transport: &Transport,
        outgoing: Outgoing<'_>,
    ) -> Result<Sent, SendError> {
        let url = Url::parse(self.url.expose()).map_err(|_| {
            SendError::broken("the address is not readable".to_owned(), "Enter the address again.")
        })?;
        let body = body::body(outgoing).to_string().into_bytes();
        let request = Request {
            method: Method::POST,
            url,
            headers: self.headers(&body, outgoing)?,
            body,
            reach: self.reach,
            timeout: SEND_TIMEOUT,
        };
        answer::read(&transport.http.send(request, outgoing.now).await?)
    }

    /// `webhook-id` is the delivery's id, the same over all attempts: receivers drop what they know.
    pub(super) fn headers(&self, body: &[u8], outgoing: Outgoing<'_>) -> Result<HeaderMap, SendError> {
        let id = format!("msg_{}", outgoing.delivery.0.simple());
        let timestamp = outgoing.now.as_secs();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut texts = vec![("webhook-id", id.clone()), ("webhook-timestamp", timestamp.to_string())];
        if let Some(key) = &self.signing_key {
            texts.push(("webhook-signature", key.sign(&id, timestamp, body)));
        }
        for (name, text) in texts {
            let value = HeaderValue::from_str(&text)
                .map_err(|_| SendError::retryable("a header could not be built".to_owned()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::channels::ChannelKind;
    use crate::notify::channel::Channel;

    #[test]
    fn settings_round_trip_and_show_no_secret() {
        let key = Webhook::new_signing_key(&Entropy::seeded(1));
        let text = serde_json::json!({
            "url": "https://hook.example.com/topsecret",
            "signing_secret": key.text().expose(),
        });
        let sealed = Secret::new(text.to_string());
        let webhook = Channel::parse(ChannelKind::Webhook, "{}", Some(&sealed), Reach::Public).unwrap();
        let parts = webhook.parts();
        let again = Channel::parse(
            ChannelKind::Webhook,
            &parts.settings.to_string(),
            parts.secrets.as_ref(),
            Reach::Public,
        );
        assert_eq!(again.unwrap().parts().secrets.unwrap().expose(), parts.secrets.unwrap().expose());
        assert_eq!(webhook.describe(), "webhook at https://hook.example.com");
        assert!(!format!("{webhook:?}").contains("topsecret"));
    }

    #[test]
    fn a_short_signing_secret_is_refused() {
        let sealed = Secret::new(r#"{"url":"https://hook.example.com/","signing_secret":"whsec_c2hvcnQ="}"#);
        let error = Webhook::parse("{}", Some(&sealed), Reach::Public).unwrap_err();
        assert!(matches!(error, ConfigError::BadSigningSecret));
    }
}
