//! A delivery as one call: to where, with which headers, signed at this moment.

use super::headers::{forwarded, mark};
use crate::base::{Owner, Timestamp, TraceKey};
use crate::outbound::header::{HeaderName, HeaderValue};
use crate::outbound::{Method, Reach, Request, Url};
use crate::webhooks::Payload;
use crate::webhooks::delivery::Claimed;
use crate::webhooks::scheme::{Outgoing, Unsignable};
use crate::webhooks::secrets::Missing;
use crate::webhooks::target::{Signing, Target};

/// Why nothing can be sent to a destination as it is. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("not sent: {0}")]
    NoSecret(&'static str),
    #[error("not sent: {0}")]
    MissingSecret(#[from] Missing),
    #[error("not sent: the address cannot be read: enter it anew")]
    Url,
    #[error("not sent: the header {0} cannot be sent as it is: change its value")]
    Header(String),
    #[error("not sent: the provider's method is none")]
    Method,
    #[error("not sent, because it cannot be signed: {0}")]
    Unsignable(#[from] Unsignable),
}

/// How far a destination may reach: what a file names may be private, what came by page or API is public.
pub(super) const fn reach(owner: Owner) -> Reach {
    match owner {
        Owner::File => Reach::Private,
        Owner::Page => Reach::Public,
    }
}

/// The call that delivers `claimed` now.
///
/// # Errors
/// [`Unsendable`], where somebody has to change the destination first.
pub(super) fn build(
    target: &Target,
    claimed: &Claimed,
    payload: Payload,
    (trace, now): (&TraceKey, Timestamp),
) -> Result<Request, Unsendable> {
    let said = &target.definition;
    let content_type = payload.header("content-type").map(str::to_owned);
    let address = |url: &str| {
        let url = with_query(url, &payload.query)?;
        Ok::<_, Unsendable>(
            target.scheme.outgoing_url(&url, content_type.as_deref(), &payload.body).into_owned(),
        )
    };
    let url = address(&said.url)?;
    let replaced: Vec<String> =
        target.scheme.signature_headers().into_iter().map(|header| header.name).collect();
    let mut headers = forwarded(&payload.headers, &replaced);
    mark(&mut headers, claimed.uid, claimed.number, trace.span(claimed.id.0, claimed.number));
    for (name, value) in &said.headers {
        let (name, value) = header(name, &target.secrets.fill(value)?)?;
        headers.insert(name, value);
    }
    match &target.signing {
        Signing::Off => {}
        Signing::Missing(why) => return Err(Unsendable::NoSecret(why)),
        Signing::With(secret) => {
            let signed_url = said.signed_url.as_deref().map(address).transpose()?;
            let out = Outgoing {
                method: &payload.method,
                url: signed_url.as_deref().unwrap_or(&url),
                id: &claimed.event_id,
                content_type: content_type.as_deref(),
                body: &payload.body,
                at: now,
            };
            for (name, value) in target.scheme.sign(&out, secret)? {
                headers.insert(name, value);
            }
        }
    }
    Ok(Request {
        method: Method::from_bytes(payload.method.as_bytes()).map_err(|_| Unsendable::Method)?,
        url: Url::parse(&url).map_err(|_| Unsendable::Url)?,
        headers,
        body: payload.body,
        reach: reach(target.owner),
        timeout: said.timeout,
    })
}

/// The address with what stood behind the `?` of the provider's, as it came.
fn with_query(url: &str, query: &str) -> Result<String, Unsendable> {
    let mut parsed = Url::parse(url).map_err(|_| Unsendable::Url)?;
    if !query.is_empty() {
        let joined = match parsed.query() {
            Some(own) if !own.is_empty() => format!("{own}&{query}"),
            Some(_) | None => query.to_owned(),
        };
        parsed.set_query(Some(&joined));
    }
    Ok(parsed.into())
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Unsendable> {
    let refuse = || Unsendable::Header(name.to_owned());
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| refuse())?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_query_comes_after_the_addresss_own() {
        for (url, query, whole) in [
            ("https://app.example.com/hook", "", "https://app.example.com/hook"),
            ("https://app.example.com/hook", "a=1", "https://app.example.com/hook?a=1"),
            ("https://app.example.com/hook?key=2", "a=1&a=2", "https://app.example.com/hook?key=2&a=1&a=2"),
            ("https://app.example.com", "a=%20b+c", "https://app.example.com/?a=%20b+c"),
        ] {
            assert_eq!(with_query(url, query).unwrap(), whole);
        }
        assert!(with_query("nowhere", "").is_err());
    }

    #[test]
    fn only_what_a_file_names_may_be_private() {
        assert_eq!((reach(Owner::Page), reach(Owner::File)), (Reach::Public, Reach::Private));
    }
}
