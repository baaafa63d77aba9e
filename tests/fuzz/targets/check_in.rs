//! Check-ins, and the schedules in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::base::Timestamp;
use tocsin::heartbeats::Definition;
use tocsin::sentry::check_in;

const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

fuzz_target!(|data: &[u8]| {
    for read in [check_in::parse(data), check_in::parse_request("job", data, &[])].into_iter().flatten() {
        let Some(written) = read.definition else { continue };
        // What was read is right, and written down it stays what it is.
        let definition = Definition::try_from(*written).expect("it was checked");
        let json = serde_json::to_string(&definition).expect("it can be written");
        assert_eq!(serde_json::from_str::<Definition>(&json).expect("it can be read"), definition);
        assert!(definition.schedule.next_after(NOON).is_none_or(|next| next > NOON));
    }
});
