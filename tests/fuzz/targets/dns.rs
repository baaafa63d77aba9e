//! Any bytes as what a name server answered: bounded, and of nobody else's question.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::prober::dns::Asked;

const RECORDS: [&str; 10] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];
const RECORDS_MAX: usize = 200;
/// Bytes of a message before its question, and of a question after its name.
const HEAD: usize = 12;
const TYPE_AND_CLASS: usize = 4;

// The first byte chooses the record and whether the right question is put before the rest, which then is the answers.
fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let record = RECORDS[usize::from(choice >> 1) % RECORDS.len()];
    let id = rest.get(..2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
    let asked = Asked::new(id, "www.example.com", record).expect("it can be asked for");
    let answered = if choice % 2 == 0 { rest.to_vec() } else { wrapped(asked.bytes(), rest) };
    if let Ok(answer) = asked.read(&answered) {
        assert!(answer.records.len() <= RECORDS_MAX && answer.records.is_sorted());
        assert_eq!(answered.get(..2), asked.bytes().get(..2));
    }
});

/// `records` as the answers to a question, as many as the third byte of them says.
fn wrapped(question: &[u8], records: &[u8]) -> Vec<u8> {
    let end = HEAD + question[HEAD..].iter().position(|byte| *byte == 0).unwrap_or(0) + 1 + TYPE_AND_CLASS;
    let count = records.get(2).copied().unwrap_or(1);
    let mut message = question[..2].to_vec();
    message.extend_from_slice(&[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    message.extend_from_slice(&question[HEAD..end]);
    message.extend_from_slice(records.get(3..).unwrap_or_default());
    message
}
