//! An envelope with everything that is read of it before its items go to their domains.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::sentry::envelope::ITEMS_MAX;
use tocsin::sentry::{AuthError, Envelope, ItemKind, RateLimit, auth, client_report};

fuzz_target!(|data: &[u8]| {
    let Ok(envelope) = Envelope::parse(data) else { return };
    assert!(envelope.items.len() <= ITEMS_MAX);
    let payload_bytes: usize = envelope.items.iter().map(|item| item.payload.len()).sum();
    assert!(payload_bytes <= data.len());
    let _found = auth::of_dsn(envelope.header.dsn.as_deref(), AuthError::Missing);
    if let Some(hint) = RateLimit::unsupported(envelope.items.iter().map(|item| &item.kind)) {
        assert!(!hint.to_string().contains("error"));
    }
    for item in envelope.items.iter().filter(|item| item.kind == ItemKind::ClientReport) {
        if let Ok(discarded) = client_report::parse(item.payload) {
            assert!(discarded.len() <= client_report::ENTRIES_MAX);
        }
    }
});
