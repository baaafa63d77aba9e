//! Any bytes as an event: what comes out is bounded JSON, and where nothing was found it is what went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tocsin::scrub::{EVENT_BYTES_MAX, ScrubError, Scrubber, WARNINGS_MAX};

fuzz_target!(|data: &[u8]| {
    let before = serde_json::from_slice::<Value>(data);
    let scrubbed = match Scrubber::default().event(data) {
        Ok(scrubbed) => scrubbed,
        Err(ScrubError::TooLarge { .. }) => return,
        Err(refused) => {
            assert!(!before.is_ok_and(|value| value.is_object()), "refused valid JSON: {refused}");
            return;
        }
    };
    assert!(scrubbed.json.len() <= EVENT_BYTES_MAX && scrubbed.warnings.len() <= WARNINGS_MAX + 1);
    let after: Value = serde_json::from_slice(&scrubbed.json).expect("scrubbed events are valid JSON");
    if scrubbed.warnings.is_empty() {
        if scrubbed.filtered == 0 {
            assert_eq!(before.expect("an event without warnings is valid JSON"), after);
        }
        let again = Scrubber::default().event(&scrubbed.json).expect("a scrubbed event is an event");
        assert_eq!(again.json, scrubbed.json);
    }
});
