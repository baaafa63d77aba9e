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
    (host.len() <= HOST_CHARS_MAX).then(|| host.to_owned())
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
        ] {
            assert_eq!(normal_host(text).as_deref(), normal, "{text}");
        }
    }
}
