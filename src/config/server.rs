//! The top level: where it listens, how others reach it, how careful it is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;
use crate::base::Secret;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "data",
        Kind::Text,
        None,
        "The data folder, as an absolute path. Belongs into `/etc/tocsin/tocsin.toml` or a file named with `--config`.",
    ),
    Key::new(
        "listen",
        Kind::Text,
        Some("127.0.0.1:8787"),
        "Address and port to listen on. Only this machine reaches a loopback address; put a proxy in front, or choose `0.0.0.0:8787`.",
    ),
    Key::new(
        "base_url",
        Kind::Text,
        None,
        "How browsers and SDKs reach tocsin, such as `https://tocsin.example.com`. Stands in DSNs and in the links of messages. Unset: the listening address.",
    ),
    Key::new(
        "mode",
        Kind::Choice(&["production", "development"]),
        Some("production"),
        "`development` refuses to listen on anything but a loopback address.",
    ),
    Key::new(
        "test_api_key",
        Kind::Secret,
        None,
        "No effect yet. Will open `/api/test-errors` in production to whoever sends it as `x-test-api-key`.",
    ),
    Key::new(
        "admin_api_key",
        Kind::Secret,
        None,
        "A bearer token with scope `admin`, besides those made with `tocsin token create`. At least 20 characters.",
    ),
    Key::new(
        "admin_email",
        Kind::Text,
        None,
        "Together with `admin_password` creates the first owner if there is no user.",
    ),
    Key::new("admin_password", Kind::Secret, None, "The first owner's password."),
];

/// Whoever guesses the key is an administrator.
const API_KEY_CHARS_MIN: usize = 20;

/// Keys that are accepted for what is to come.
pub(super) const NO_EFFECT_YET: &[&str] = &["test_api_key"];

/// Where tocsin listens and how it is reached.
#[derive(Clone, Debug)]
pub struct Server {
    pub listen: SocketAddr,
    /// `None`: take [`BaseUrl::of_address`] of the address that was bound.
    pub base_url: Option<BaseUrl>,
    pub mode: Mode,
    pub test_api_key: Option<Secret>,
    pub admin_api_key: Option<Secret>,
    pub first_owner: Option<FirstOwner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Production,
    Development,
}

/// The first owner as the environment wants it, made only where there is no user.
#[derive(Clone, Debug)]
pub struct FirstOwner {
    pub email: String,
    pub password: Secret,
}

/// `http[s]://host[:port]`, without path and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    is_https: bool,
    is_loopback: bool,
}

impl BaseUrl {
    /// # Errors
    /// Says what a base URL looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("must begin with https:// or http://".to_owned()),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must end after the host or its port; tocsin needs a host name of its own".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or password".to_owned());
        }
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let text = format!("{}://{host}{port}", url.scheme());
        Ok(Self { text, is_https, is_loopback: is_loopback_host(host) })
    }

    /// How this machine reaches `address`; an unspecified address is reached through loopback.
    pub fn of_address(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            ip => ip,
        };
        let text = format!("http://{}", SocketAddr::new(ip, address.port()));
        Self { text, is_https: false, is_loopback: ip.is_loopback() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Only this machine can reach it: messages carry no links then.
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `localhost`, names below it (RFC 6761) and loopback addresses.
pub(super) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || host.ends_with(".localhost") || address.is_some_and(|ip| ip.is_loopback())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    data: Option<String>,
    listen: String,
    base_url: Option<String>,
    mode: String,
    test_api_key: Option<Secret>,
    admin_api_key: Option<Secret>,
    admin_email: Option<String>,
    admin_password: Option<Secret>,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Server> {
    let raw: Raw = values.section("", problems)?;
    if raw.data.as_ref().is_some_and(|data| !data.starts_with('/') && values.is_from_file("data")) {
        problems.push(values.problem("data", "must be an absolute path in a file"));
    }
    let listen = parse_listen(&raw.listen).map_err(|why| problems.push(values.problem("listen", why))).ok();
    let base_url = match raw.base_url.as_deref().map(BaseUrl::parse).transpose() {
        Ok(base_url) => Some(base_url),
        Err(why) => {
            problems.push(values.problem("base_url", why));
            None
        }
    };
    let mode = if raw.mode == "development" { Mode::Development } else { Mode::Production };
    let is_open = listen.is_some_and(|address| !address.ip().is_loopback());
    if mode == Mode::Development && is_open {
        let why = "must be a loopback address such as 127.0.0.1:8787 while mode is development";
        problems.push(values.problem("listen", why));
    }
    if raw.admin_api_key.as_ref().is_some_and(|key| key.expose().chars().count() < API_KEY_CHARS_MIN) {
        let why =
            format!("must have at least {API_KEY_CHARS_MIN} characters: `openssl rand -hex 16` makes one");
        problems.push(values.problem("admin_api_key", why));
    }
    let first_owner = match (raw.admin_email, raw.admin_password) {
        (Some(email), Some(password)) => Some(FirstOwner { email, password }),
        (None, None) => None,
        (Some(_), None) => {
            problems.push(values.problem("admin_email", "needs admin_password beside it"));
            None
        }
        (None, Some(_)) => {
            problems.push(values.problem("admin_password", "needs admin_email beside it"));
            None
        }
    };
    Some(Server {
        listen: listen?,
        base_url: base_url?,
        mode,
        test_api_key: raw.test_api_key,
        admin_api_key: raw.admin_api_key,
        first_owner,
    })
}

fn parse_listen(text: &str) -> Result<SocketAddr, &'static str> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "must be an address and a port, such as 127.0.0.1:8787 or [::1]:8787")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, expected, https, loopback) in [
            ("https://tocsin.example.com/", "https://tocsin.example.com", true, false),
            ("https://Tocsin.Example.com:443", "https://tocsin.example.com", true, false),
            ("http://localhost:8787", "http://localhost:8787", false, true),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787", false, true),
            ("http://[::1]:8787", "http://[::1]:8787", false, true),
            ("http://a.localhost", "http://a.localhost", false, true),
            ("http://10.0.0.1", "http://10.0.0.1", false, false),
        ] {
            let url = BaseUrl::parse(text).unwrap();
            assert_eq!(
                (url.as_str(), url.is_https(), url.is_loopback()),
                (expected, https, loopback),
                "{text}"
            );
        }
        for text in ["tocsin.example.com", "ftp://x", "https://x/tocsin", "https://x/?a", "https://u:p@x", ""]
        {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_base_url_of_an_address_is_one_that_this_machine_can_open() {
        for (address, expected) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:8787", "http://127.0.0.1:8787"),
            ("[::1]:8787", "http://[::1]:8787"),
            ("10.1.2.3:1", "http://10.1.2.3:1"),
        ] {
            assert_eq!(BaseUrl::of_address(address.parse().unwrap()).as_str(), expected);
        }
    }
}
