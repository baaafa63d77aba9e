//! Targets that are a bucket.

use super::{refused, sealed, web_address};
use crate::probes::definition::Invalid;
use crate::probes::secrets::with_stand_ins;
use crate::probes::target::S3;

/// Longest name of a bucket, by S3's rules.
const BUCKET_BYTES_MAX: usize = 63;
/// Longest key of an object, by S3's rules.
const PREFIX_BYTES_MAX: usize = 1024;

pub(super) fn check(target: &S3) -> Result<(), Invalid> {
    endpoint(&with_stand_ins(&target.endpoint))?;
    let bucket = with_stand_ins(&target.bucket);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if bucket.is_empty() || bucket.len() > BUCKET_BYTES_MAX || !bucket.chars().all(is_plain) {
        return Err(refused("bucket", "write its name alone, such as shop-backups"));
    }
    if target.region.trim().is_empty() {
        return Err(refused("region", "name one, such as us-east-1; servers of one's own take any"));
    }
    if target.access_key.is_empty() || target.secret_key.is_empty() {
        return Err(refused("access_key", "both keys are needed"));
    }
    if target.prefix.len() > PREFIX_BYTES_MAX {
        return Err(refused("prefix", format!("use at most {PREFIX_BYTES_MAX} characters")));
    }
    sealed("secret_key", &target.secret_key)
}

fn endpoint(text: &str) -> Result<(), Invalid> {
    const CURE: &str = "write the server without the bucket, such as https://s3.eu-central-1.amazonaws.com";
    let url = web_address("endpoint", text, "https://s3.eu-central-1.amazonaws.com")?;
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if matches!(url.scheme(), "http" | "https") && is_bare && url.port() != Some(0) {
        Ok(())
    } else {
        Err(refused("endpoint", CURE))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_is_checked() {
        let told = |field: &str, value: &str| {
            let mut target = json!({
                "endpoint": "https://s3.example.com", "bucket": "shop-backups", "access_key": "AKIA",
                "secret_key": "{{secret_key}}",
            });
            target[field] = value.into();
            check(&serde_json::from_value(target).unwrap())
                .err()
                .map(|invalid| invalid.to_string())
                .unwrap_or_default()
        };
        assert_eq!(told("prefix", "daily/"), "");
        for (field, value) in [
            ("endpoint", "s3.example.com"),
            ("endpoint", "ftp://s3.example.com"),
            ("endpoint", "https://s3.example.com/?x"),
            ("endpoint", "https://s3..example.com"),
            ("endpoint", "https://s3.example\n.com"),
            ("bucket", "a/b"),
            ("bucket", ""),
            ("region", ""),
            ("access_key", ""),
            ("secret_key", "plain"),
        ] {
            assert!(told(field, value).starts_with(field), "{field}: {}", told(field, value));
        }
        assert!(told("secret_key", "plain").contains("{{secret_key}} here, and the secret key among"));
    }
}
