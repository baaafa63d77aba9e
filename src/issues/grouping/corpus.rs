//! Every error event of the recorded traffic, with the title, culprit and reason it gets.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::issues::grouping::group;
use crate::issues::head::EventHead;
use crate::issues::title::{culprit, title};

/// The events of a recorded request, as text.
fn events(name: &str) -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let body = std::fs::read(dir.join(format!("{name}.body"))).unwrap();
    let about: Value =
        serde_json::from_slice(&std::fs::read(dir.join(format!("{name}.json"))).unwrap()).unwrap();
    let encoding = about["headers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|header| header[0].as_str().unwrap().eq_ignore_ascii_case("content-encoding"))
        .map_or("", |header| header[1].as_str().unwrap());
    let body = decode(&body, encoding);
    if about["path"].as_str().unwrap().contains("/store/") {
        return vec![String::from_utf8(body).unwrap()];
    }
    items(&body)
}

fn decode(body: &[u8], encoding: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut out).map(drop).unwrap(),
        "deflate" => flate2::read::ZlibDecoder::new(body).read_to_end(&mut out).map(drop).unwrap(),
        "br" => brotli_decompressor::BrotliDecompress(&mut &*body, &mut out).unwrap(),
        _ => out.extend_from_slice(body),
    }
    out
}

/// The payloads of an envelope's items of type `event`.
fn items(envelope: &[u8]) -> Vec<String> {
    let line_end = |from: usize| {
        envelope[from..].iter().position(|byte| *byte == b'\n').map_or(envelope.len(), |length| from + length)
    };
    let mut events = Vec::new();
    let mut at = line_end(0) + 1;
    while at < envelope.len() {
        let header_end = line_end(at);
        let header: Value = serde_json::from_slice(&envelope[at..header_end]).unwrap();
        let start = (header_end + 1).min(envelope.len());
        let end = header["length"]
            .as_u64()
            .map_or_else(|| line_end(start), |n| start + usize::try_from(n).unwrap());
        if header["type"] == "event" {
            events.push(String::from_utf8(envelope[start..end].to_vec()).unwrap());
        }
        at = end + 1;
    }
    events
}

/// The requests that hold at least one event, by name.
fn recorded() -> BTreeMap<String, Vec<String>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".body").map(str::to_owned)
        })
        .map(|name| (name.clone(), events(&name)))
        .filter(|(_, events)| !events.is_empty())
        .collect()
}

#[test]
fn every_recorded_error_gets_a_title_a_culprit_and_a_reason() {
    let mut lines = Vec::new();
    for (name, events) in recorded() {
        for event in events {
            let head = EventHead::parse(&event).unwrap();
            assert_eq!(head.warnings, [], "{name}");
            let grouping = group(&head);
            lines.push(format!(
                "{name} → {} | {} | {}",
                title(&head),
                culprit(&head),
                grouping.reason.kind()
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
        browser11-002 → TypeError: Cannot read properties of undefined (reading 'property') | /bundle.js in DB | chain
        browser11-004 → Error: unhandled rejection in checkout | /bundle.js in document.getElementById.onclick | value
        browser11-005 → browser message | /bundle.js in mi | chain
        browser11-006 → Error: outer | /bundle.js in window.go | chain
        browser11-007 → string in browser | /bundle.js in ct | chain
        browser11-016 → TypeError: Cannot read properties of undefined (reading 'property') | /bundle.js in DB | chain
        browser11-017 → Error: unhandled rejection in checkout | /bundle.js in document.getElementById.onclick | value
        browser11-018 → browser message | /bundle.js in mi | chain
        browser11-019 → Error: outer | /bundle.js in window.go | chain
        browser11-020 → string in browser | /bundle.js in ct | chain
        node11-express-001 → GatewayError: upstream failed for order 1 | node_new in outer | chain
        node11-express-002 → GatewayError: upstream failed for order 2 | node_new in outer | chain
        node11-express-003 → GatewayError: upstream failed for order 0 | node_new in outer | chain
        node11-express-004 → GatewayError: upstream failed for order 1 | node_new in outer | chain
        node11-express-005 → AggregateError: two things failed | node_new | chain
        node11-express-006 → just a string thrown | node_new | chain
        node11-express-008 → Object captured as exception with keys: code, plain | node_new | chain
        node11-express-009 → Error: ENOENT: no such file or directory, open | node_new | chain
        node11-express-019 → Error: cron failed | node_new | chain
        node11-express-021 → Error: with attachment | node_new | fingerprint
        node11-express-022 → Error: big payload | node_new in Server.? | chain
        node11-express-023 → hello from node | node_new in Server.? | chain
        python2x-django-002 → User.DoesNotExist: User matching query does not exist. | py_django.py in missing | chain
        python2x-django-004 → VariableDoesNotExist: Failed lookup for key [y] in [{'True': True, 'False': False, 'None': None}, {'users': <QuerySet [<User: user0>, <User: user1>, <User: use… | py_django.py in tpl | chain
        python2x-django-006 → TemplateSyntaxError: 'for' statements should have at least four words: for u in | py_django.py in badtpl | chain
        python2x-django-008 → ExceptionGroup: three validations failed | py_django.py in group | chain
        python2x-django-010 → Weird: order 1 for tenant acme failed | py_django.py in weird | chain
        python2x-django-012 → Weird: order 2 for tenant acme failed | py_django.py in weird | chain
        python2x-django-014 → template fragment failed | /logs/ | message
        python2x-django-016 → Weird: order 9 for tenant acme failed | py_django.py in weird | chain
        python2x-flask-001 → InventoryError: could not release stock for order 1 | py_flask.py in checkout | chain
        python2x-flask-003 → PaymentError: gateway refused: balance missing for stripe-eu-1 | py_flask.py in charge | chain
        python2x-flask-005 → InventoryError: could not release stock for order 0 | py_flask.py in checkout | chain
        python2x-flask-007 → PaymentError: gateway refused: balance missing for stripe-eu-1 | py_flask.py in charge | chain
        python2x-flask-009 → InventoryError: could not release stock for order 1 | py_flask.py in checkout | chain
        python2x-flask-011 → ZeroDivisionError: division by zero | py_flask.py in divide | chain
        python2x-flask-013 → KeyError: 'missing-5' | py_flask.py in rec | chain
        python2x-flask-015 → KeyError: 'missing-60' | py_flask.py in rec | chain
        python2x-flask-017 → ValueError: nicht gültig: “ünïcödé” ☃ 😀 null byte | py_flask.py in uni | chain
        python2x-flask-019 → payment provider stripe returned 502 | logroute | message
        python2x-flask-022 → URLError: <urlopen error [Errno 111] Connection refused> | py_flask.py in out | chain
        python2x-flask-024 → disk usage above threshold | msg | message
        python2x-flask-025 → PaymentError: with attachment and fingerprint | msg | fingerprint
        python2x-flask-031 → RuntimeError: job crashed | py_flask.py in bad | chain
        python2x-flask-032 → Unnamed event |  | nothing
        raven-python-001 → IndexError: list index out of range | capture/py_raven.py in f | chain
        raven-python-002 → IndexError: list index out of range | capture/py_raven.py in f | chain
        raven-python-003 → IndexError: list index out of range | capture/py_raven.py in f | chain
        raven-python-004 → plain message from raven | raven.base in build_msg | stack
        raven-python-005 → KeyError: 'k' | capture/py_raven.py in <module> | chain
        "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the expected issues are data")]
fn recorded_errors_fall_into_the_issues_that_a_person_would_make() {
    let mut issues: BTreeMap<[u8; 16], (String, Vec<String>)> = BTreeMap::new();
    for (name, events) in recorded() {
        for event in events {
            let grouping = group(&EventHead::parse(&event).unwrap());
            let issue =
                issues.entry(grouping.key).or_insert_with(|| (grouping.reason.sentence(), Vec::new()));
            issue.1.push(name.clone());
        }
    }
    let mut lines: Vec<String> =
        issues.values().map(|(sentence, names)| format!("{}\n    {sentence}", names.join(" "))).collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        browser11-002 browser11-016
            Same TypeError and same in-app frames DB, UB, BB. Line numbers, values, hosts and builds are ignored.
        browser11-004 browser11-017
            No usable stack. Same type Error and same value “unhandled rejection in checkout”.
        browser11-005 browser11-018
            Same in-app frames mi, go and same message “browser message”. Line numbers, values, hosts and builds are ignored.
        browser11-006 browser11-019
            Same chain Error ← TypeError and same in-app frames go. Line numbers, values, hosts and builds are ignored.
        browser11-007 browser11-020
            Same in-app frames ct, go and same message “string in browser”. Line numbers, values, hosts and builds are ignored.
        node11-express-001 node11-express-003
            Same chain GatewayError ← TypeError and same in-app frames outer, app.get("/order/:id", async (q, r, n) => { try { Sentry.set…. Line numbers, values, hosts and builds are ignored.
        node11-express-002 node11-express-004
            Same chain GatewayError ← SyntaxError and same in-app frames outer, app.get("/order/:id", async (q, r, n) => { try { Sentry.set…. Line numbers, values, hosts and builds are ignored.
        node11-express-005
            Same chain AggregateError ← Error ← RangeError and same in-app frames app.get("/agg", (q, r) => { throw new AggregateError([new E…. Line numbers, values, hosts and builds are ignored.
        node11-express-006
            Same in-app frames app.get("/str", (q, r, n) => { Sentry.captureException("jus… and same message “just a string thrown”. Line numbers, values, hosts and builds are ignored.
        node11-express-008
            Same in-app frames app.get("/str", (q, r, n) => { Sentry.captureException("jus… and same message “Object captured as exception with keys: code, plain”. Line numbers, values, hosts and builds are ignored.
        node11-express-009
            Same Error and same in-app frames app.post("/upload", (q, r) => { fs.readFileSync("/nonexiste…. Line numbers, values, hosts and builds are ignored.
        node11-express-019
            Same Error and same in-app frames await Sentry.withMonitor("node-failing", async () => { thro…. Line numbers, values, hosts and builds are ignored.
        node11-express-021
            The application's own eu within: Same Error and same in-app frames Sentry.withScope(s => { s.addAttachment({ filename: "dump.j…. Line numbers, values, hosts and builds are ignored.
        node11-express-022
            Same Error and same in-app frames Sentry.captureException(new Error("big payload"), { extra: …. Line numbers, values, hosts and builds are ignored.
        node11-express-023
            Same in-app frames Sentry.captureMessage("hello from node", "warning"); and same message “hello from node”. Line numbers, values, hosts and builds are ignored.
        python2x-django-002
            Same User.DoesNotExist and same in-app frames missing, urlpatterns = [path("users/", users), path("missing/<int:pk…. Line numbers, values, hosts and builds are ignored.
        python2x-django-004
            Same chain VariableDoesNotExist ← ValueError ← AttributeError ← KeyError and same in-app frames tpl. Line numbers, values, hosts and builds are ignored.
        python2x-django-006
            Same TemplateSyntaxError and same in-app frames badtpl. Line numbers, values, hosts and builds are ignored.
        python2x-django-008
            Same chain ExceptionGroup ← ValueError and same in-app frames group. Line numbers, values, hosts and builds are ignored.
        python2x-django-010 python2x-django-012 python2x-django-016
            Same Weird and same in-app frames weird. Line numbers, values, hosts and builds are ignored.
        python2x-django-014
            No exception. Same message “template fragment failed”.
        python2x-flask-001 python2x-flask-005 python2x-flask-009
            Same chain InventoryError ← PaymentError ← KeyError and same in-app frames checkout. Line numbers, values, hosts and builds are ignored.
        python2x-flask-003 python2x-flask-007
            Same chain PaymentError ← KeyError and same in-app frames charge, checkout. Line numbers, values, hosts and builds are ignored.
        python2x-flask-011
            Same ZeroDivisionError and same in-app frames divide. Line numbers, values, hosts and builds are ignored.
        python2x-flask-013 python2x-flask-015
            Same KeyError and same in-app frames rec, deep. Line numbers, values, hosts and builds are ignored.
        python2x-flask-017
            Same ValueError and same in-app frames uni. Line numbers, values, hosts and builds are ignored.
        python2x-flask-019
            No exception. Same message “payment provider %s returned %s (502)”.
        python2x-flask-022
            Same chain URLError ← ConnectionRefusedError and same in-app frames out. Line numbers, values, hosts and builds are ignored.
        python2x-flask-024
            No exception. Same message “disk usage above threshold”.
        python2x-flask-025
            The application's own fingerprint: custom, group-a.
        python2x-flask-031
            Same RuntimeError and same in-app frames bad, <module>. Line numbers, values, hosts and builds are ignored.
        python2x-flask-032
            The event says nothing about where it comes from.
        raven-python-001 raven-python-002 raven-python-003
            Same IndexError and same frames f, <module>. Line numbers, values, hosts and builds are ignored.
        raven-python-004
            No exception, but same frames build_msg, capture, captureMessage, … and same message “plain message from raven”. Line numbers, values, hosts and builds are ignored.
        raven-python-005
            Same KeyError and same frames <module>. Line numbers, values, hosts and builds are ignored.
        "#);
}
