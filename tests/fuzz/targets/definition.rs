//! A probe as people write it, and the addresses in it: refused with the field, or the same when it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::base::Secret;
use tocsin::prober::Reach;
use tocsin::probes::target::{self, PostgresAddress, RedisAddress};
use tocsin::probes::{Definition, Secrets};

fuzz_target!(|text: &str| {
    address(text);
    let Ok(definition) = serde_json::from_str::<Definition>(text) else { return };
    let secrets = Secrets([("key".to_owned(), Secret::new("p@ss/w:rd{{key}}"))].into());
    let checked = match definition.clone().check(&secrets) {
        Ok(checked) => checked,
        Err(invalid) => return assert!(!invalid.to_string().is_empty()),
    };
    let written = serde_json::to_string(&checked.definition).expect("it can be written");
    let again: Definition = serde_json::from_str(&written).expect("what is written can be read");
    assert_eq!(again, definition);
    again.check(&secrets).expect("it was right before");
    secrets.fill(&definition.target).expect("no secret is missing");
    let (anywhere, strangers) = (Reach::Private, Reach::Public([].into()));
    if strangers.check(&definition.target).is_ok() {
        assert_eq!(anywhere.check(&definition.target), Ok(()), "whoever may edit files may do more");
    }
});

/// Parts of targets, without the rest.
fn address(text: &str) {
    let _read = (PostgresAddress::parse(text).ok(), RedisAddress::parse(text).ok());
    let _split = (target::host_and_port(text, 1), target::bytes_of(text).ok());
    if let Some(host) = target::normal_host(text) {
        assert_eq!(target::normal_host(&host).as_deref(), Some(host.as_str()), "{text}");
    }
    if let Some(path) = target::table_path(text) {
        assert!(path.iter().all(|part| !part.is_empty()), "{text}");
    }
}
