//! The bodies and queries of the legacy endpoint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::sentry::store;

const JSON_BYTES_MAX: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    for json in [store::event_json(data, JSON_BYTES_MAX).ok(), query(data)].into_iter().flatten() {
        assert_eq!(json.trim_ascii().first(), Some(&b'{'));
        assert!(json.len() <= JSON_BYTES_MAX.max(data.len()));
    }
});

fn query(data: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    store::event_json_of_query(std::str::from_utf8(data).ok()?, JSON_BYTES_MAX).ok()
}
