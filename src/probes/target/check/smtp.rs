//! Targets that are a mail server.

use super::{host, port, refused, sealed};
use crate::probes::definition::Invalid;
use crate::probes::secrets::with_stand_ins;
use crate::probes::target::Smtp;

pub(super) fn check(target: &Smtp) -> Result<(), Invalid> {
    host("host", &with_stand_ins(&target.host))?;
    port("port", target.port)?;
    match (&target.username, &target.password) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(refused("password", "a user name signs in only with its password")),
        (None, Some(_)) => Err(refused("username", "a password signs in only with its user name")),
        (Some(username), Some(password)) if username.is_empty() || password.is_empty() => {
            Err(refused("username", "leave both out where nobody signs in"))
        }
        (Some(_), Some(password)) => sealed("password", password),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sign_in_is_whole_and_its_password_sealed() {
        let told = |more: serde_json::Value| {
            let mut target = json!({"host": "mail.example.com"});
            target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            check(&serde_json::from_value(target).unwrap())
                .err()
                .map(|invalid| invalid.to_string())
                .unwrap_or_default()
        };
        assert_eq!(told(json!({})), "");
        assert_eq!(told(json!({"username": "u", "password": "{{password}}"})), "");
        assert!(told(json!({"host": "smtp://x"})).starts_with("host: "));
        assert!(told(json!({"port": 0})).starts_with("port: "));
        assert!(told(json!({"username": "u"})).starts_with("password: "));
        assert!(told(json!({"password": "{{password}}"})).starts_with("username: "));
        assert_eq!(
            told(json!({"username": "u", "password": "plain"})),
            "password: write {{password}} here, and the password among the secrets"
        );
    }
}
