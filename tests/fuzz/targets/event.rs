//! Any bytes as an event, from the door to what the writer gets: every text is bounded, what will lie on disk can be
//! read again, and it is grouped and titled as what came in.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tocsin::base::{EventId, ProjectId, Severity, Timestamp};
use tocsin::issues::incoming::{Incoming, Origin, PrepareError, Tools};
use tocsin::issues::title::{CULPRIT_CHARS_MAX, TITLE_CHARS_MAX};

static TOOLS: LazyLock<Tools> = LazyLock::new(Tools::default);

const ORIGIN: Origin = Origin {
    project: ProjectId(1),
    received_at: Timestamp::from_secs(1_800_000_000),
    event: None,
    fallback_event: EventId([7; 16]),
    severity_max: Severity::High,
};
/// The scrubber cuts names at 2 KiB.
const NAME_BYTES_MAX: usize = 2 * 1024 + 64;
/// Sentry takes events up to 1 MiB; the warnings come on top.
const STORED_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024;

fuzz_target!(|data: &[u8]| {
    let event = match Incoming::prepare(&ORIGIN, &TOOLS, data) {
        Ok(event) => event,
        Err(PrepareError::Compress(error)) => panic!("{error}"),
        Err(_) => return,
    };
    assert!(!event.title.is_empty() && event.title.chars().count() <= TITLE_CHARS_MAX);
    assert!(event.culprit.chars().count() <= CULPRIT_CHARS_MAX);
    for name in [Some(&event.platform), Some(&event.environment), event.release.as_ref()].into_iter().flatten() {
        assert!(name.len() <= NAME_BYTES_MAX, "{} bytes", name.len());
    }
    assert!(event.severity <= Severity::High);
    let days = ORIGIN.received_at.since(event.timestamp).as_secs() / 86_400;
    assert!(days <= 30 && event.timestamp.since(ORIGIN.received_at).as_secs() <= 60);

    let stored = event.payload.json().expect("what was just packed can be unpacked");
    assert!(stored.len() <= STORED_BYTES_MAX);
    let again = Incoming::prepare(&ORIGIN, &TOOLS, &stored).expect("what is stored is an event");
    assert_eq!((&again.title, &again.culprit), (&event.title, &event.culprit));
    assert_eq!(again.grouping.key, event.grouping.key);
});
