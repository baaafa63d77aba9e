use proptest::prelude::*;

use super::*;
use crate::base::Timestamp;

const FIELDS: Fields = Fields(&[
    Field { name: "status", kind: FieldKind::Number(Unit::Plain), says: "" },
    Field { name: "time.total", kind: FieldKind::Number(Unit::Seconds), says: "" },
    Field { name: "cert.expires_in", kind: FieldKind::Number(Unit::Seconds), says: "" },
    Field { name: "used_memory", kind: FieldKind::Number(Unit::Bytes), says: "" },
    Field { name: "disk.used", kind: FieldKind::Number(Unit::Percent), says: "" },
    Field { name: "banner", kind: FieldKind::Text, says: "" },
    Field { name: "tls", kind: FieldKind::Flag, says: "" },
    Field { name: "body", kind: FieldKind::Tree(Names::AsTyped), says: "" },
    Field { name: "header", kind: FieldKind::Tree(Names::InLowerCase), says: "" },
]);

const BODY: &str = r#"{
  "status": "ok", "queue": {"depth": 120, "limit": "200"}, "up": true, "none": null, "odd key": 1,
  "providers": [{"name": "a", "up": true, "ms": 12}, {"name": "b", "up": false, "ms": 30}],
  "updated_at": "2026-03-01T11:50:00Z", "updated": 1772365800, "updated_ms": 1772365800000, "tags": ["x", "y"], "empty": [],
  "ahead": "2026-03-01T13:00:00Z"
}"#;

/// 2026-03-01T12:00:00Z.
const NOW: i64 = 1_772_366_400;

fn facts(body: &str) -> Facts {
    let mut facts = Facts::new(Timestamp::from_secs(NOW));
    facts.set("status", Value::plain(503.0));
    facts.set("time.total", Value::seconds(0.32));
    facts.set("cert.expires_in", Value::seconds(86_400.0 * 13.0));
    facts.set("used_memory", Value::Number(3e8, Unit::Bytes));
    facts.set("disk.used", Value::Number(91.5, Unit::Percent));
    facts.set("banner", Value::Text("220 mail.example ESMTP".to_owned()));
    facts.set("tls", Value::Flag(true));
    facts.set_tree("body", Tree::of_text(body.to_owned()));
    facts.set_tree("header", Tree::of_json(serde_json::json!({"x-cache": "HIT", "age": "12"})));
    facts
}

fn finding(condition: &str, body: &str) -> Finding {
    Condition::parse(condition, &FIELDS)
        .unwrap_or_else(|fault| panic!("{condition}: {fault}"))
        .check(&facts(body))
}

#[test]
fn conditions_that_hold() {
    for condition in [
        "status == 503",
        "status = 503",
        "status in (500, 503)",
        "status not in (200, 204)",
        "status >= 500 and status < 600",
        "status < 300 or tls",
        "not status < 300",
        "not (status < 300 and tls)",
        "time.total < 500ms",
        "time.total<0.5s",
        "cert.expires_in > 1w5d",
        "used_memory < 512MiB",
        "disk.used <= 91.5%",
        "banner contains 'ESMTP'",
        "banner matches \"220 * ESMTP\"",
        "not banner matches '*421*'",
        "banner != \"\"",
        "tls == true",
        "body contains '\"status\": \"ok\"'",
        "body.status == \"ok\"",
        "body.queue.depth < 200",
        "body.queue.limit == 200",
        "body.queue.depth == '120'",
        "body.up",
        "body.none == null",
        "body.none exists",
        "body.nothing not exists",
        "not body.nothing exists",
        "body[\"odd key\"] == 1",
        "body.providers[1].name == 'b'",
        "any(body.providers[*].up) == true",
        "all(body.providers[*].ms) < 100",
        "any(body.providers[*].up)",
        "length(body.providers) == 2",
        "length(body.providers[*].up) == 2",
        "length(body.status) == 2",
        "body.tags contains 'x'",
        "body.queue contains 'depth'",
        "age(body.updated_at) == 10m",
        "age(body.updated) <= 10m",
        "age(body.updated_ms) == 600s",
        "body.providers[*] exists",
        "header.x-cache == 'HIT' and header.age < 60",
        "header.X-Cache == 'HIT' and header[\"AGE\"] exists",
        "body.up == 'true'",
        "body.up != 'false'",
        "not any(body.empty[*].up)",
        "not body.empty[*] exists",
        "not (body.nothing == 1 and status < 300)",
        "tls or not body.nothing == 1",
    ] {
        assert_eq!(finding(condition, BODY), Finding::Holds, "{condition}");
    }
    assert_eq!(finding("body == 'pong'", " pong\n"), Finding::Holds);
    assert_eq!(finding("body == 7 and body >= 7", "7"), Finding::Holds);
    assert_eq!(finding("age(body) < 11m", "2026-03-01T11:50:00Z"), Finding::Holds);
}

#[test]
fn conditions_that_fail_say_what_was_there() {
    for (condition, reason) in [
        ("status < 300", "status was 503, wanted < 300"),
        ("status in (200, 204)", "status was 503, wanted in (200, 204)"),
        ("time.total < 250ms", "time.total was 320ms, wanted < 250ms"),
        ("cert.expires_in > 14d", "cert.expires_in was 13d, wanted > 14d"),
        ("used_memory < 250MB", "used_memory was 300 MB, wanted < 250 MB"),
        ("disk.used < 90%", "disk.used was 91.5%, wanted < 90%"),
        ("not tls", "tls held, and must not"),
        (
            "status < 300 or disk.used < 90%",
            "status was 503, wanted < 300, and disk.used was 91.5%, wanted < 90%",
        ),
        ("body.queue.depth < 100", "body.queue.depth was 120, wanted < 100"),
        ("body.queue.height < 100", "body.queue.height was not there"),
        ("body.queue < 100", "body.queue is a list or an object, wanted < 100"),
        ("body.status != 'ok'", "body.status was \"ok\", wanted != \"ok\""),
        ("all(body.providers[*].up) == true", "body.providers[*].up was false, wanted == true"),
        ("any(body.providers[*].ms) > 50", "none of 2 values of body.providers[*].ms > 50"),
        ("all(body.nothing[*].up)", "body.nothing[*].up was not there"),
        ("length(body.tags) > 2", "the length of body.tags was 2, wanted > 2"),
        ("length(body.up) > 2", "body.up has no length"),
        ("age(body.updated_at) < 5m", "the age of body.updated_at was 10m, wanted < 5m"),
        ("age(body.status) < 5m", "body.status is no point in time"),
        ("body.nothing == null", "body.nothing was not there"),
        ("body.tags contains 'z'", "body.tags is a list or an object, wanted contains \"z\""),
    ] {
        assert_eq!(finding(condition, BODY), Finding::Fails(reason.to_owned()), "{condition}");
    }
    // What is not there says nothing, also under a `not`.
    for (condition, reason) in [
        ("body.nothing not in ('down', 'failed')", "body.nothing was not there"),
        ("not body.nothing == 'down'", "body.nothing was not there"),
        (
            "not (body.nothing == 'down' or status < 300)",
            "body.nothing was not there, and status was 503, wanted < 300",
        ),
        ("not (body.nothing == 'down' and tls)", "body.nothing was not there"),
        ("not not body.nothing == 'down'", "body.nothing was not there"),
        ("not any(body.nothing[*].up)", "body.nothing[*].up was not there"),
        ("not all(body.empty[*].up)", "body.empty[*].up was not there"),
        ("not length(body.up) > 2", "body.up has no length"),
        ("not age(body.status) > 5m", "body.status is no point in time"),
        ("age(body.ahead) < 5m", "body.ahead lies 1h in the future: look at the clock and the zone there"),
        (
            "not age(body.ahead) > 5m",
            "body.ahead lies 1h in the future: look at the clock and the zone there",
        ),
    ] {
        assert_eq!(finding(condition, BODY), Finding::Fails(reason.to_owned()), "{condition}");
    }
    for condition in
        ["body.state not in ('down', 'failed')", "body.error not exists", "not body.error exists"]
    {
        assert_eq!(finding(condition, "<html>"), Finding::Fails("body is no JSON".to_owned()), "{condition}");
    }
    let no_json = Finding::Fails("body is no JSON".to_owned());
    assert_eq!(finding("body.status == 'ok'", "<html>"), no_json);
    let unseen = Condition::parse("status < 300", &FIELDS).unwrap().check(&Facts::new(Timestamp::EPOCH));
    assert_eq!(unseen, Finding::Fails("status was not there".to_owned()));
}

#[test]
fn keys_of_digits_are_looked_for_as_they_were_typed() {
    let body = r#"{"123456789012345678": {"online": true}, "007": "James", "7": "nobody", "5m": 1, "1": {"50": {"x": 2}}}"#;
    for condition in
        ["body.123456789012345678.online", "body.007 == 'James'", "body.5m == 1", "body.1.50.x == 2"]
    {
        assert_eq!(finding(condition, body), Finding::Holds, "{condition}");
    }
}

#[test]
fn faults_name_the_place_and_the_reason() {
    for (condition, at, reason) in [
        ("", 0, "a name is expected here"),
        ("statsu < 300", 0, "“statsu” is not known here; did you mean status?"),
        ("status 300", 7, "a comparison is missing here"),
        ("status < ", 8, "a value is expected here"),
        ("status < 300ms", 9, "status is a plain number, like 200"),
        ("cert.expires_in > 14", 18, "cert.expires_in is a duration, like 500ms"),
        ("cert.expires_in > 14y", 18, "“y” is no unit; there are ms s m h d w"),
        ("cert.expires_in > 1h3MB", 18, "only parts of a duration can be added"),
        ("used_memory < 5m", 14, "used_memory is a size, like 100MB or 2GiB"),
        ("body.ms < 5ms", 10, "numbers in a body have no unit"),
        ("body.status == ok", 15, "“ok” is no value; a text stands in quotation marks: \"ok\""),
        ("body.status == 'ok", 15, "the text is not closed"),
        ("status < 300 300", 13, "a number was not expected here"),
        ("(status < 300", 13, "“)” is missing here"),
        ("status ~ 300", 7, "this character has no meaning here"),
        ("status.code < 300", 0, "nothing lies below status"),
        ("status contains '2'", 16, "status is a plain number"),
        ("status contains 2", 0, "only a text can be searched"),
        ("banner < 'x'", 0, "this has no order"),
        ("banner == 220", 10, "banner is a text"),
        ("tls == 'yes'", 7, "tls is true or false"),
        ("body.a[*].b == 1", 0, "[*] stands for many values"),
        ("any(body.a) == 1", 4, "any(…) and all(…) want a path with [*]"),
        ("length(status) > 1", 7, "this cannot be asked of status"),
        ("age(time.total) > 1s", 4, "this cannot be asked of time.total"),
        ("body[1.5] == 1", 5, "a position is a whole number"),
        ("ünter < 1", 0, "“ünter” is not known here"),
        ("status < -", 10, "a number must follow the minus sign"),
    ] {
        let fault = Condition::parse(condition, &FIELDS).expect_err(condition);
        assert!(fault.reason.starts_with(reason), "{condition}: {fault}");
        assert_eq!(fault.at, at, "{condition}: {fault}");
    }
    let deep = format!("{}status < 300{}", "(".repeat(17), ")".repeat(17));
    assert_eq!(Condition::parse(&deep, &FIELDS).unwrap_err().reason, "nested deeper than 16");
    for huge in [format!("status < {}", "9".repeat(400)), format!("used_memory < {}TiB", "9".repeat(300))] {
        let fault = Condition::parse(&huge, &FIELDS).expect_err(&huge);
        assert_eq!(fault.reason, "this number is too large");
    }
    let long = format!("status < 300{}", " or status < 300".repeat(40));
    assert_eq!(Condition::parse(&long, &FIELDS).unwrap_err().at, CHARS_MAX);
}

#[test]
fn a_condition_is_shown_as_typed() {
    let condition = Condition::parse("  status   <300 ", &FIELDS).unwrap();
    assert_eq!(condition.to_string(), "status   <300");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_inside_its_bounds(source in "[ -~äß]{0,80}") {
        if let Err(fault) = Condition::parse(&source, &FIELDS) {
            prop_assert!(fault.at <= source.chars().count());
        }
    }

    #[test]
    fn words_of_the_language_in_any_order_are_read_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "status", "<", "300", "body", ".a", "[*]", "[0]", "(", ")", "any(", "length(", "age(", "or", "and", "not",
            "in", "exists", "contains", "'x'", "5m", "10%", "tls", "==", "true", ",", "matches",
        ]), 0..12),
        body in "[ -~]{0,40}",
    ) {
        let source = words.join(" ");
        if let Ok(condition) = Condition::parse(&source, &FIELDS) {
            // What can be read can be asked, and is read the same again.
            let finding = condition.check(&facts(&body));
            let again = Condition::parse(condition.as_str(), &FIELDS).unwrap();
            prop_assert_eq!(again.check(&facts(&body)), finding);
        }
    }
}

#[test]
fn what_cannot_be_told_holds_in_no_way() {
    let mut facts = facts(BODY);
    facts.cannot_tell("status", "too much lies there: name one");
    for condition in ["status < 300", "not (status > 300)", "status exists", "status not in (500, 503)"] {
        let told = Condition::parse(condition, &FIELDS).unwrap().check(&facts);
        let why = "status cannot be told: too much lies there: name one";
        assert_eq!(told, Finding::Fails(why.to_owned()), "{condition}");
    }
}
