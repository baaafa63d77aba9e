//! A shop whose payment panics, in a scope with a known user.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

fn charge(amount: u32) -> u32 {
    assert!(amount < 1000, "gateway refused {amount}");
    amount
}

fn pay(amount: u32) -> u32 {
    charge(amount) + 1
}

fn main() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let remember = Arc::clone(&sent);
    let mut options = sentry::ClientOptions::default();
    options.dsn = std::env::var("SENTRY_DSN").expect("SENTRY_DSN is set").parse().ok();
    options.release = Some("shop@1.4.2".into());
    options.environment = Some("production".into());
    options.before_send = Some(Arc::new(move |event| {
        remember.lock().expect("no thread died with the list").push(event.event_id.simple().to_string());
        Some(event)
    }));
    let client = sentry::init(options);
    sentry::configure_scope(|scope| {
        scope.set_user(Some(sentry::User {
            id: Some("u-42".to_owned()),
            email: Some("ada@example.com".to_owned()),
            ..sentry::User::default()
        }));
        scope.set_tag("plan", "pro");
    });
    let crashed = std::panic::catch_unwind(|| pay(1999)).is_err();
    assert!(crashed, "the shop must break");
    assert!(client.flush(Some(Duration::from_secs(20))), "the SDK could not send everything");
    let sent = sent.lock().expect("no thread died with the list").clone();
    println!("{}", serde_json::json!({ "event_ids": sent }));
}
