//! Addresses of Redis.

use super::database::{BadUrl, DatabaseUrl};

/// Where a server is, who signs in, and which database is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub url: DatabaseUrl,
    /// Of those that Redis numbers.
    pub database: u32,
    pub is_encrypted: bool,
}

/// Why an address cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("the database is a number, as in {EXAMPLE}")]
    Database,
}

const EXAMPLE: &str = "redis://user:{{password}}@cache.example.com:6379/0 (rediss:// with TLS)";
const PORT: u16 = 6379;

impl RedisAddress {
    /// Reads an address whose secrets are in their places.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let url = DatabaseUrl::parse(text, &["redis", "rediss"], EXAMPLE)?;
        let database = match url.database.as_str() {
            "" => 0,
            number => number.parse().map_err(|_| BadAddress::Database)?,
        };
        Ok(Self { is_encrypted: url.scheme == "rediss", database, url })
    }

    pub fn port(&self) -> u16 {
        self.url.port.unwrap_or(PORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_who_signs_in_and_where() {
        let address = RedisAddress::parse("rediss://default:p%40@cache:7000/3").unwrap();
        assert_eq!((address.port(), address.database, address.is_encrypted), (7000, 3, true));
        assert_eq!(address.url.password.as_deref(), Some("p@"));
        let address = RedisAddress::parse("redis://cache").unwrap();
        assert_eq!((address.port(), address.database, address.is_encrypted), (6379, 0, false));
        assert_eq!(RedisAddress::parse("redis://cache/x"), Err(BadAddress::Database));
        assert!(RedisAddress::parse("cache:6379").is_err());
    }
}
