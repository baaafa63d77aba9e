//! The address of a ping.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::heartbeats::Address;
use tocsin::http::ping::parse;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, query) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(parsed) = parse(path, query) else { return };
    if let Address::Slug { key, slug } = &parsed.address {
        assert!(!key.is_empty() && key.len() <= 100);
        assert!(!slug.as_str().is_empty() && slug.as_str().len() <= 100);
        assert!(parsed.created().is_none_or(|created| created == slug));
    }
});
