//! A condition of any kind of probe, held against any answer: read the same again, bounded in what it says, never lost.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::base::Timestamp;
use tocsin::probes::Kind;
use tocsin::probes::condition::{CHARS_MAX, Condition, Facts, FieldKind, Finding, Tree, Value};

const REASON_CHARS_MAX: usize = 300;

// The first byte chooses the kind; the condition ends with its line, the answer is what follows.
fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    let text = String::from_utf8_lossy(rest);
    let (source, answer) = text.split_once('\n').unwrap_or((&text, ""));
    let condition = match Condition::parse(source, &kind.fields()) {
        Ok(condition) => condition,
        Err(fault) => {
            assert!(fault.at <= source.chars().count(), "{fault:?}");
            return;
        }
    };
    assert!(condition.as_str().chars().count() <= CHARS_MAX);
    assert_eq!(Condition::parse(condition.as_str(), &kind.fields()).as_ref(), Ok(&condition));
    for facts in [Facts::new(Timestamp::EPOCH), seen(kind, answer)] {
        if let Finding::Fails(reason) = condition.check(&facts) {
            assert!(!reason.is_empty() && reason.chars().count() <= REASON_CHARS_MAX, "{reason}");
        }
    }
});

/// Every field of the kind, made of the answer.
fn seen(kind: Kind, answer: &str) -> Facts {
    let mut facts = Facts::new(Timestamp::from_secs(1_800_000_000));
    let number = answer.bytes().fold(0.0, |sum, byte| sum * 3.0 + f64::from(byte));
    for field in kind.fields().0 {
        match field.kind {
            FieldKind::Number(unit) => facts.set(field.name, Value::Number(number, unit)),
            FieldKind::Text => facts.set(field.name, Value::Text(answer.to_owned())),
            FieldKind::Flag => facts.set(field.name, Value::Flag(answer.len() % 2 == 0)),
            FieldKind::Tree(_) => facts.set_tree(field.name, Tree::of_text(answer.to_owned())),
        }
    }
    facts
}
