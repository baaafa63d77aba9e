//! A crontab line and its time zone: refused with a reason, or walked along without end and without standing still.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::base::{Crontab, Timestamp};

/// Before the clocks of Europe are set forward, and back.
const BEGINNINGS: [Timestamp; 2] =
    [Timestamp::from_secs(1_806_190_000), Timestamp::from_secs(1_824_334_000)];
const ZONES: [&str; 4] = ["Europe/Berlin", "UTC", "Australia/Lord_Howe", "America/St_Johns"];

// The first byte chooses the zone; behind a line break may stand one of its own.
fuzz_target!(|data: &[u8]| {
    let [zone, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let zone = ZONES[usize::from(*zone) % ZONES.len()];
    let (line, zone) = text.split_once('\n').unwrap_or((text, zone));
    let crontab = match Crontab::parse(line, zone) {
        Ok(crontab) => crontab,
        Err(bad) => return assert!(!bad.to_string().is_empty()),
    };
    let again = Crontab::parse(crontab.as_str(), crontab.zone().name()).expect("it was read");
    assert_eq!(again, crontab);
    assert!(!crontab.describe().is_empty());
    for beginning in BEGINNINGS {
        let times: Vec<_> = crontab.after(beginning).take(20).collect();
        assert!(times.iter().all(|at| *at > beginning) && times.is_sorted(), "{line} {zone}: {times:?}");
        assert_eq!(again.after(beginning).take(20).collect::<Vec<_>>(), times);
    }
});
