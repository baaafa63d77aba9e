//! Calls of strangers to every scheme: never believed without the secret, whatever the headers, the address and the body
//! are; and what tocsin signs over the same bytes is believed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tocsin::base::{Secret, Timestamp};
use tocsin::webhooks::providers::identity::CHARS_MAX;
use tocsin::webhooks::providers::{self, Content, Provider};
use tocsin::webhooks::scheme::{Call, Covers, Outgoing, Scheme, Unsignable, Verified};
use tocsin::webhooks::values::Wanted;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

// The first byte chooses the provider. Lines of headers follow, then an empty line and the body; the first line is the
// address.
fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let provider = &providers::all()[usize::from(*choice) % providers::all().len()];
    let at = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
    let (head, body) = (&rest[..at], rest.get(at + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    let url = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let headers: Vec<(&str, &[u8])> = lines.filter_map(header).collect();
    let call = Call { method: "POST", url: &url, headers: &headers, body };
    identity(provider, &call);
    for (_, scheme) in provider.schemes().filter(|(_, scheme)| scheme.needs_secret()) {
        let verdict = scheme.verify(&call, &[secret("a secret nobody wrote it")], NOW);
        // A token that stands in this program may be found; a signature cannot.
        assert!(verdict.is_err() || matches!(scheme, Scheme::Token(_)), "{}: {verdict:?}", provider.id);
        again(scheme, &url, body);
    }
});

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let at = line.iter().position(|byte| *byte == b':')?;
    Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
}

/// Base64 too, for the schemes that want it: four letters to each group, and no space.
fn secret(text: &str) -> Secret {
    Secret::new(text.replace(' ', "+"))
}

fn identity(provider: &Provider, call: &Call<'_>) {
    let wanted = Wanted::of(provider.rules.pointers().chain(provider.pointers()));
    let content = Content::of(call, &wanted);
    let identity = provider.rules.identify(call, &content);
    for text in [&identity.event_id, &identity.event_type, &identity.told_type, &identity.order_key].into_iter().flatten() {
        assert!(!text.is_empty() && text.chars().count() <= CHARS_MAX, "{text}");
    }
    assert!(identity.event_id.is_some(), "{}: every event is known by something", provider.id);
    let verified = Verified { secret: None, signed_at: None, covers: Covers::Nothing };
    let _answered = (provider.challenge(&content, &verified), provider.is_ping(call, &content));
    let _marked = provider.deploy.as_ref().and_then(|rule| rule.mark(&rule.event_type, &content));
}

fn again(scheme: &Scheme, url: &str, body: &[u8]) {
    let secret = secret("one of our own 4");
    let url = scheme.outgoing_url(url, None, body);
    let out = Outgoing { method: "POST", url: &url, id: "msg_1", content_type: None, body, at: NOW };
    // Nothing here is what no header may carry; but a form may be too large, and the address may claim another hash.
    let written = match scheme.sign(&out, &secret) {
        Err(Unsignable::FormTooLarge | Unsignable::BodyHash) => return,
        written => written.expect("what is delivered can be signed"),
    };
    let headers: Vec<(&str, &[u8])> =
        written.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let call = Call { method: "POST", url: &url, headers: &headers, body };
    // A time within the body may be any, or none.
    if scheme.late().is_accepted() {
        scheme.verify(&call, &[secret], NOW).expect("what is signed is believed");
    }
}
