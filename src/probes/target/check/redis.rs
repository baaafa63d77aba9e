//! Targets that are a Redis server.

use super::refused;
use crate::probes::definition::Invalid;
use crate::probes::secrets::{is_secret, take_from_url, with_stand_ins};
use crate::probes::target::{Redis, RedisAddress};

/// Longer keys are no names that a person types.
const KEY_BYTES_MAX: usize = 1024;

pub(super) fn check(target: &Redis) -> Result<(), Invalid> {
    if target.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
        return Err(refused("key", "use 1 to 1024 characters"));
    }
    if is_secret(&target.url) {
        return Ok(());
    }
    RedisAddress::parse(&with_stand_ins(&target.url)).map_err(|bad| refused("url", bad.to_string()))?;
    match take_from_url(&target.url) {
        (_, None) => Ok(()),
        (_, Some(_)) => Err(refused(
            "url",
            "write {{password}} in the password's place, and the password among the secrets",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_and_the_key_are_checked() {
        let told = |url: &str, key: &str| {
            let target = Redis { url: url.to_owned(), key: Some(key.to_owned()) };
            check(&target).err().map(|invalid| invalid.to_string()).unwrap_or_default()
        };
        assert_eq!(told("rediss://:{{password}}@cache:6379/0", "queue:mail"), "");
        assert_eq!(told("{{redis_url}}", "queue:mail"), "");
        assert!(told("cache", "a").starts_with("url: write an address"));
        assert!(told("redis://:pw@cache", "a").starts_with("url: write {{password}}"));
        assert!(told("redis://cache", "").starts_with("key: use 1"));
    }
}
