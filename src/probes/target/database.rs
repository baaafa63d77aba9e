//! Addresses of databases: `postgres://user:password@host:5432/name?sslmode=require`, `rediss://:password@host/0`.

use percent_encoding::percent_decode_str;

use super::check::normal_host;
use crate::outbound::Url;

/// Longest address that is read.
const URL_BYTES_MAX: usize = 2048;

/// An address, taken apart. Empty texts: not said.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// In lower case, one of those asked for.
    pub scheme: String,
    pub host: String,
    pub port: Option<u16>,
    pub user: String,
    pub password: Option<String>,
    /// What stands after the first slash.
    pub database: String,
    /// What stands after the question mark, in its order.
    pub parameters: Vec<(String, String)>,
}

/// Why a text is no address of a database, with the cure. Names no part of it: a password could be among them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("use at most {URL_BYTES_MAX} characters")]
    TooLong,
    #[error("write an address such as {0}")]
    Form(&'static str),
    #[error("begin with {0}")]
    Scheme(&'static str),
    #[error("name the host, such as {0}")]
    Host(&'static str),
    #[error("it holds a line break or another control character: take it out")]
    Control,
    #[error(
        "“%” begins no two hexadecimal digits: write the user name and password as they are encoded in addresses"
    )]
    Encoding,
    #[error("use a port from 1 to 65535")]
    Port,
}

impl DatabaseUrl {
    /// Reads an address whose secrets are in their places. `example` says how one looks, and begins with the first
    /// of `schemes`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str, schemes: &[&str], example: &'static str) -> Result<Self, BadUrl> {
        if text.len() > URL_BYTES_MAX {
            return Err(BadUrl::TooLong);
        }
        let text = text.trim();
        // A parser of addresses passes over them in silence.
        if text.contains(char::is_control) {
            return Err(BadUrl::Control);
        }
        let url = Url::parse(text).map_err(|_| BadUrl::Form(example))?;
        if !schemes.contains(&url.scheme()) {
            return Err(BadUrl::Scheme(example));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadUrl::Host(example))?;
        if url.port() == Some(0) {
            return Err(BadUrl::Port);
        }
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host: normal_host(host).ok_or(BadUrl::Host(example))?,
            port: url.port(),
            user: decoded(url.username())?,
            password: url.password().map(decoded).transpose()?,
            database: decoded(url.path().trim_start_matches('/'))?,
            parameters: url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect(),
        })
    }

    /// The last parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn decoded(part: &str) -> Result<String, BadUrl> {
    percent_decode_str(part).decode_utf8().map(Into::into).map_err(|_| BadUrl::Encoding)
}

/// Without the password.
impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}@{}:{:?}/{}", self.scheme, self.user, self.host, self.port, self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, BadUrl> {
        DatabaseUrl::parse(text, &["postgres", "postgresql"], "postgres://host")
    }

    #[test]
    fn an_address_is_taken_apart() {
        let url = parse("postgres://a%40b:p%2Fw%25@DB.example.com:6432/shop?sslmode=require&x=1").unwrap();
        assert_eq!((url.user.as_str(), url.password.as_deref()), ("a@b", Some("p/w%")));
        assert_eq!((url.port, url.database.as_str()), (Some(6432), "shop"));
        assert_eq!(url.host, "db.example.com");
        assert_eq!(url.parameter("sslmode"), Some("require"));
        assert!(!format!("{url:?}").contains("p/w"));
        let url = parse("postgresql://[::1]/").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.database.as_str()), ("::1", None, ""));
        assert_eq!(parse("postgres://u:@h").unwrap().password.as_deref(), None);
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_cure() {
        for (text, bad) in [
            ("db.example.com", BadUrl::Form("postgres://host")),
            ("mysql://h", BadUrl::Scheme("postgres://host")),
            ("postgres:///shop", BadUrl::Host("postgres://host")),
            ("postgres://u:p%ff@h", BadUrl::Encoding),
            ("postgres://h:0", BadUrl::Port),
            ("postgres://u@-bad-..x/shop", BadUrl::Host("postgres://host")),
            ("postgres://u@h/sh\r\nop", BadUrl::Control),
        ] {
            assert_eq!(parse(text), Err(bad), "{text}");
        }
        assert_eq!(parse(&"x".repeat(3000)), Err(BadUrl::TooLong));
    }
}
