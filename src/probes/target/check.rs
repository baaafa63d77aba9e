//! Whether a target can be asked, as far as that is known without asking anybody: one file per kind.
//!
//! Texts are checked as they will stand once `{{name}}` is filled in; what a secret itself makes of them shows when the
//! probe runs.

mod dns;
mod host;
mod http;
mod postgres;
mod redis;
mod s3;
mod smtp;
mod tcp;
mod tls;

use super::Target;
use crate::outbound::Url;
use crate::probes::definition::Invalid;
use crate::probes::secrets::has_secret;

/// Longest name of a host (RFC 1035 §2.3.4).
const HOST_CHARS_MAX: usize = 253;
/// Longest part of one, between its dots.
const LABEL_CHARS_MAX: usize = 63;

impl Target {
    /// Looks at every field by itself and asks nobody. Private addresses are judged by whoever knows where the probe was
    /// made (`prober::Reach`).
    ///
    /// # Errors
    /// The first field that cannot be, with its cure.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Http(target) => http::check(target),
            Self::Tcp(target) => tcp::check(target),
            Self::Tls(target) => tls::check(target),
            Self::Dns(target) => dns::check(target),
            Self::Smtp(target) => smtp::check(target),
            Self::S3(target) => s3::check(target),
            Self::Postgres(target) => postgres::check(target),
            Self::Redis(target) => redis::check(target),
            Self::Disk(target) => host::path(&target.path),
            Self::Process(target) => host::process(target),
            Self::File(target) => host::path(&target.path),
            Self::Machine(_) | Self::Push(_) => Ok(()),
        }
    }
}

/// The refusal of `field`.
fn refused(field: &'static str, reason: impl Into<String>) -> Invalid {
    Invalid::Field { field, reason: reason.into() }
}

/// A name or an address, without scheme, port and path.
fn host(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(refused(field, "write a name or an address, such as db.example.com"));
    }
    if text.contains("://") {
        return Err(refused(field, "write the name alone, without “scheme://” before it"));
    }
    normal_host(text).map(drop).ok_or_else(|| {
        refused(
            field,
            format!("“{text}” is no name and no address: write one such as db.example.com or 192.0.2.7"),
        )
    })
}

/// A host as it is dialled: international names in their ASCII form, addresses of any spelling in the usual one, those
/// of IPv6 without brackets. `None` where it is no host.
pub fn normal_host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Some(address.to_string());
    }
    if text.len() > HOST_CHARS_MAX || text.contains(|c: char| c.is_whitespace() || "/\\@?#:[]%".contains(c)) {
        return None;
    }
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let host = url.host_str()?;
    (host.len() <= HOST_CHARS_MAX && has_labels(host)).then(|| host.to_owned())
}

/// Whether each part of a name is one that a name server can hold: 1 to 63 characters, no hyphen at an end of it.
fn has_labels(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let fits = |label: &str| (1..=LABEL_CHARS_MAX).contains(&label.len());
    labels.into_iter().all(|label| fits(label) && !label.starts_with('-') && !label.ends_with('-'))
}

/// The address of a request, as far as all of them are alike.
fn web_address(field: &'static str, text: &str, example: &str) -> Result<Url, Invalid> {
    // A parser of addresses passes over them in silence.
    if text.contains(char::is_control) {
        return Err(refused(field, "it holds a line break or another control character: take it out"));
    }
    let url = Url::parse(text)
        .map_err(|error| refused(field, format!("{error}: write an address such as {example}")))?;
    match url.host_str() {
        Some(name) if !name.starts_with('[') => host(field, name)?,
        Some(_) | None => {}
    }
    Ok(url)
}

fn port(field: &'static str, port: u16) -> Result<(), Invalid> {
    if port == 0 { Err(refused(field, "use a port from 1 to 65535")) } else { Ok(()) }
}

/// A text that must be a secret, or be made of some: what stands in a target is not sealed.
fn sealed(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() || has_secret(text) {
        return Ok(());
    }
    Err(refused(
        field,
        format!("write {{{{{field}}}}} here, and the {} among the secrets", field.replace('_', " ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_normalised_as_they_are_dialled() {
        for (text, normal) in [
            ("example.com", Some("example.com")),
            ("EXAMPLE.com.", Some("example.com.")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("0x7f.1", Some("127.0.0.1")),
            ("2130706433", Some("127.0.0.1")),
            ("[::1]", Some("::1")),
            ("::ffff:127.0.0.1", Some("::ffff:127.0.0.1")),
            ("_dmarc.example.com", Some("_dmarc.example.com")),
            ("a b", None),
            ("a:80", None),
            ("a/b", None),
            ("user@a", None),
            ("", None),
            ("fe80::1%eth0", None),
            ("-bad-..x", None),
            ("a..b", None),
            ("bad-.example.com", None),
            ("-bad.example.com", None),
            (".example.com", None),
            (&format!("{}.example.com", "a".repeat(63)), Some(&format!("{}.example.com", "a".repeat(63)))),
            (&format!("{}.example.com", "a".repeat(64)), None),
        ] {
            assert_eq!(normal_host(text).as_deref(), normal, "{text}");
        }
    }
}
