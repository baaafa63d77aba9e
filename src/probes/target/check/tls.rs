//! Targets that are the certificates of a server.

use super::{host, port};
use crate::probes::definition::Invalid;
use crate::probes::secrets::with_stand_ins;
use crate::probes::target::Tls;

pub(super) fn check(target: &Tls) -> Result<(), Invalid> {
    host("host", &with_stand_ins(&target.host))?;
    port("port", target.port)?;
    match &target.server_name {
        Some(name) => host("server_name", &with_stand_ins(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_checked() {
        let check = |host: &str, name: &str| {
            let text = serde_json::json!({"host": host, "server_name": name}).to_string();
            check(&serde_json::from_str(&text).unwrap()).map_err(|invalid| invalid.to_string())
        };
        assert_eq!(check("10.0.0.1", "example.com"), Ok(()));
        assert!(check("https://example.com", "example.com").unwrap_err().starts_with("host: "));
        assert!(check("example.com", "a/b").unwrap_err().starts_with("server_name: "));
    }
}
