use super::*;
use crate::incidents::channels::ChannelKind;
use crate::notify::channel::Channel;

#[test]
fn both_kinds_of_access_round_trip_and_show_no_secret() {
    for (settings, secrets) in [
        (r#"{"access":"webhook"}"#, r#"{"webhook_url":"https://hooks.slack.com/services/T/B/topsecret"}"#),
        (r##"{"access":"bot","channel":"#alerts"}"##, r#"{"bot_token":"xoxb-topsecret"}"#),
    ] {
        let sealed = Secret::new(secrets);
        let slack = Channel::parse(ChannelKind::Slack, settings, Some(&sealed), Reach::Public).unwrap();
        let parts = slack.parts();
        let again = Channel::parse(
            ChannelKind::Slack,
            &parts.settings.to_string(),
            parts.secrets.as_ref(),
            Reach::Public,
        );
        assert_eq!(again.unwrap().describe(), slack.describe());
        assert!(!format!("{slack:?} {} {}", slack.describe(), parts.settings).contains("topsecret"));
    }
}

#[test]
fn unusable_settings_say_what_is_missing() {
    for (settings, secrets, expected) in [
        (r#"{"access":"webhook"}"#, "{}", "the webhook address is missing"),
        (r#"{"access":"bot","channel":"x"}"#, "{}", "the bot token is missing"),
        (r#"{"access":"bot","channel":" "}"#, r#"{"bot_token":"x"}"#, "the channel is missing"),
        (r#"{"access":"webhook"}"#, r#"{"webhook_url":"hooks"}"#, "the webhook address is not an address"),
    ] {
        let secrets = Secret::new(secrets);
        let error = Slack::parse(settings, Some(&secrets), Reach::Public).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
