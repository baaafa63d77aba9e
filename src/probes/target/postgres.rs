//! Addresses of PostgreSQL, and names of its tables.

use super::database::{BadUrl, DatabaseUrl};

/// Where a server is, who signs in, and how far its certificate is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAddress {
    pub url: DatabaseUrl,
    pub ssl_mode: SslMode,
}

/// Encryption, with libpq's words. Its `allow`, which begins in the clear, is taken as `prefer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    /// Encrypted where the server can; any certificate.
    #[default]
    Prefer,
    /// Always encrypted; any certificate.
    Require,
    /// A trusted authority vouches for the certificate.
    VerifyCa,
    /// And it names the server.
    VerifyFull,
}

/// Why an address cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("sslmode is disable, prefer, require, verify-ca or verify-full, not “{0}”")]
    SslMode(String),
    #[error("“{0}” after the question mark is not supported: {1}")]
    Parameter(String, &'static str),
    #[error("name the user, such as {EXAMPLE}")]
    User,
}

const EXAMPLE: &str = "postgres://user:{{password}}@db.example.com:5432/shop?sslmode=verify-full";
const PORT: u16 = 5432;

impl PostgresAddress {
    /// Reads an address whose secrets are in their places. Parameters that only concern programs which work with the
    /// database are passed over.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let url = DatabaseUrl::parse(text, &["postgres", "postgresql"], EXAMPLE)?;
        if url.user.is_empty() {
            return Err(BadAddress::User);
        }
        for (name, _) in &url.parameters {
            let reason = match name.as_str() {
                "host" | "hostaddr" | "port" | "user" | "password" | "dbname" => {
                    "write it before the question mark"
                }
                "sslcert" | "sslkey" | "sslpassword" => "sign in with a password",
                _ => continue,
            };
            return Err(BadAddress::Parameter(name.clone(), reason));
        }
        let ssl_mode = match url.parameter("sslmode") {
            None => SslMode::default(),
            Some("disable") => SslMode::Disable,
            Some("allow" | "prefer") => SslMode::Prefer,
            Some("require") => SslMode::Require,
            Some("verify-ca") => SslMode::VerifyCa,
            Some("verify-full") => SslMode::VerifyFull,
            Some(other) => return Err(BadAddress::SslMode(other.chars().take(20).collect())),
        };
        Ok(Self { url, ssl_mode })
    }

    pub fn port(&self) -> u16 {
        self.url.port.unwrap_or(PORT)
    }

    /// The database, which is called like the user where none is named.
    pub fn database(&self) -> &str {
        if self.url.database.is_empty() { &self.url.user } else { &self.url.database }
    }
}

/// Longest name that PostgreSQL keeps whole.
const NAME_BYTES_MAX: usize = 63;

/// The parts of `table`, `schema.table` or `"odd.schema"."Table"`; each is meant exactly as it is written, also in its
/// capitals. `None` where it is no such name.
pub fn table_path(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (part, after) = quoted.split_once('"')?;
                (part, after)
            }
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if part.is_empty() || part.len() > NAME_BYTES_MAX || part.contains(['"', '\0']) {
            return None;
        }
        parts.push(part.to_owned());
        match after.strip_prefix('.') {
            Some(next) if parts.len() < 2 => rest = next,
            Some(_) => return None,
            None => return after.is_empty().then_some(parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_who_signs_in_and_how() {
        let address =
            PostgresAddress::parse("postgres://shop:pw@db/?sslmode=verify-ca&pgbouncer=true").unwrap();
        assert_eq!((address.ssl_mode, address.port(), address.database()), (SslMode::VerifyCa, 5432, "shop"));
        let mode = |text: &str| PostgresAddress::parse(text).map(|address| address.ssl_mode);
        assert_eq!(mode("postgresql://u@db/x"), Ok(SslMode::Prefer));
        assert_eq!(mode("postgres://u@db?sslmode=on"), Err(BadAddress::SslMode("on".to_owned())));
        assert_eq!(mode("postgres://db/x"), Err(BadAddress::User));
        assert!(matches!(mode("postgres://u@db/x?host=/tmp"), Err(BadAddress::Parameter(..))));
    }

    #[test]
    fn tables_are_named_as_they_are_written() {
        for (text, parts) in [
            ("orders", Some(vec!["orders"])),
            ("shop.Orders", Some(vec!["shop", "Orders"])),
            (r#""odd.schema"."Table""#, Some(vec!["odd.schema", "Table"])),
            (" a b ", Some(vec!["a b"])),
            ("a.b.c", None),
            ("a.", None),
            ("", None),
            (r#""a"b"#, None),
            (r#"a"b"#, None),
            (r#""a"#, None),
        ] {
            let found = table_path(text);
            assert_eq!(found.map(|found| found.join("|")), parts.map(|parts| parts.join("|")), "{text}");
        }
        assert_eq!(table_path(&"a".repeat(64)), None);
    }
}
