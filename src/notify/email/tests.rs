use super::*;
use crate::incidents::channels::ChannelKind;
use crate::notify::channel::Channel;

const SETTINGS: &str = r#"{"host":"smtp.example.com","tls":"starttls","username":"ops","from":"tocsin <tocsin@example.com>","to":["ops@example.com"]}"#;

pub(in crate::notify) fn email() -> Email {
    let secrets = Secret::new(r#"{"password":"hunter2hunter2"}"#);
    Email::parse(SETTINGS, Some(&secrets), Reach::Public).unwrap()
}

fn refused(settings: &str, secrets: Option<&str>) -> String {
    let secrets = secrets.map(Secret::new);
    Email::parse(settings, secrets.as_ref(), Reach::Public).unwrap_err().to_string()
}

#[test]
fn settings_round_trip_and_show_no_password() {
    let parsed = email();
    assert_eq!((parsed.port, parsed.tls), (587, MailTls::Starttls));
    let parts = parsed.parts();
    assert!(!parts.settings.to_string().contains("hunter2"));
    let again = Channel::parse(
        ChannelKind::Email,
        &parts.settings.to_string(),
        parts.secrets.as_ref(),
        Reach::Public,
    )
    .unwrap();
    assert_eq!(again.describe(), "ops@example.com by smtp.example.com:587");
    assert!(!format!("{again:?}").contains("hunter2"));
}

#[test]
fn unusable_settings_say_what_to_change() {
    let plain = SETTINGS.replace("starttls", "none");
    assert!(refused(&plain, Some(r#"{"password":"x"}"#)).contains("without TLS"));
    assert!(refused(SETTINGS, None).contains("a user name needs a password"));
    let nobody = SETTINGS.replace(r#"["ops@example.com"]"#, "[]");
    assert!(refused(&nobody, Some(r#"{"password":"x"}"#)).contains("recipients"));
    let bad = SETTINGS.replace("ops@example.com", "ops@example.com\\r\\nBcc: evil@example.com");
    assert!(refused(&bad, Some(r#"{"password":"x"}"#)).contains("not a mail address"));
    assert!(refused(&SETTINGS.replace("\"host\"", "\"hots\""), None).contains("hots"));
    let host = SETTINGS.replace("smtp.example.com", "smtp.example.com/x");
    assert!(refused(&host, Some(r#"{"password":"x"}"#)).contains("server's name"));
}

#[test]
fn a_token_that_is_name_and_password_is_kept_with_the_secrets() {
    let settings = SETTINGS.replace("\"ops\"", "\"f3a1-token\"");
    let secrets = Secret::new(r#"{"password":"f3a1-token"}"#);
    let parts = Email::parse(&settings, Some(&secrets), Reach::Public).unwrap().parts();
    assert!(!parts.settings.to_string().contains("f3a1-token"), "{}", parts.settings);
    let again = Email::parse(&parts.settings.to_string(), parts.secrets.as_ref(), Reach::Public).unwrap();
    assert_eq!(again.credentials.unwrap().username, "f3a1-token");
}
