//! The scrubber as a whole: what goes, what stays, what is cut, what is repaired.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event(raw: &str) -> Scrubbed {
    Scrubber::default().event(raw.as_bytes()).unwrap()
}

fn after(raw: &Value) -> Value {
    value_of(&event(&raw.to_string()))
}

fn value_of(scrubbed: &Scrubbed) -> Value {
    serde_json::from_slice(&scrubbed.json).unwrap()
}

fn kinds(scrubbed: &Scrubbed) -> Vec<(&str, WarningKind)> {
    scrubbed.warnings.iter().map(|warning| (warning.path.as_str(), warning.kind)).collect()
}

#[test]
fn planted_secrets_are_gone_and_nothing_else_changed() {
    let planted = json!({
        "event_id": "5066081e73e444c1870ef13faa7234ac",
        "timestamp": 1_795_228_726.076_55,
        "transaction": "/reset?token=SECRET&step=2",
        "message": "login failed for bob, password=SECRET, card 4111 1111 1111 1111",
        "logentry": {"message": "token %s", "params": ["Bearer SECRET99", {"api_key": "SECRET"}], "formatted": "token x"},
        "exception": {"values": [{
            "type": "AuthError", "value": "cannot reach postgres://shop:SECRET@db/shop",
            "mechanism": {"type": "generic", "data": {"authToken": "SECRET", "url": "/x?api_key=SECRET&y=1"}},
            "stacktrace": {"frames": [{
                "filename": "app.js", "abs_path": "https://u:SECRET@cdn.example.com/app.js?v=3", "lineno": 3,
                "function": "token", "context_line": "const password = 'SECRET'; // author",
                "pre_context": ["login(user, token=token)"], "post_context": [],
                "vars": {"password": "'SECRET'", "user": "bob", "ctx": {"private_key": ["SECRET"], "n": 1},
                         "repr": "{'secret': 'SECRET', 'author': 'bob'}", "max_tokens": 100, "token": null}
            }]}
        }]},
        "breadcrumbs": {"values": [
            {"message": "GET /x?access_token=SECRET", "category": "http", "data": {"url": "/?pwd=SECRET", "headers": {"cookie": "SECRET"}}}
        ]},
        "request": {
            "url": "https://example.com/", "method": "POST", "query_string": "a=1&password=SECRET",
            "cookies": {"theme": "SECRET", "empty": ""},
            "headers": {"Authorization": "Bearer SECRET", "Cookie": ["SECRET"], "User-Agent": "x/1 token=1", "Accept": "*/*"},
            "data": {"user": {"passwd": "SECRET", "name": "bob"}, "card": 5_555_555_555_554_444_u64, "cards": [4_242]},
            "env": {"REMOTE_ADDR": "127.0.0.1", "HTTP_COOKIE": "SECRET", "PWD": "/srv"}
        },
        "tags": {"plan": "gold", "session": "SECRET"},
        "user": {"id": "4111111111111111", "email": "bob@example.com", "auth": {"token": "SECRET"}},
        "contexts": {"trace": {"trace_id": "65d02cc8ced147b3b30a21fbd83cb293"}, "session": {"step": 2}},
        "extra": {"argv": ["--password=SECRET", "--verbose"], "credentials": {"a": "SECRET"}, "secrets": []},
        "modules": {"token": "1.0"},
        "_meta": {"request": {"cookies": {"": {"rem": [["password", "x"]]}}}},
    });
    let mut expected = planted.clone();
    let mut plant = |pointer: &str, value: Value| *expected.pointer_mut(pointer).unwrap() = value;
    plant("/transaction", json!("/reset?token=[Filtered]&step=2"));
    plant("/message", json!("login failed for bob, password=[Filtered], card [Filtered]"));
    plant("/logentry/params", json!(["Bearer [Filtered]", {"api_key": "[Filtered]"}]));
    plant("/exception/values/0/value", json!("cannot reach postgres://shop:[Filtered]@db/shop"));
    plant(
        "/exception/values/0/mechanism/data",
        json!({"authToken": "[Filtered]", "url": "/x?api_key=[Filtered]&y=1"}),
    );
    let frame = "/exception/values/0/stacktrace/frames/0";
    plant(&format!("{frame}/abs_path"), json!("https://u:[Filtered]@cdn.example.com/app.js?v=3"));
    plant(&format!("{frame}/context_line"), json!("const password = '[Filtered]'; // author"));
    plant(&format!("{frame}/vars/password"), json!("[Filtered]"));
    plant(&format!("{frame}/vars/ctx/private_key"), json!("[Filtered]"));
    plant(&format!("{frame}/vars/repr"), json!("{'secret': '[Filtered]', 'author': 'bob'}"));
    plant("/breadcrumbs/values/0/message", json!("GET /x?access_token=[Filtered]"));
    plant(
        "/breadcrumbs/values/0/data",
        json!({"url": "/?pwd=[Filtered]", "headers": {"cookie": "[Filtered]"}}),
    );
    plant("/request/query_string", json!("a=1&password=[Filtered]"));
    plant("/request/cookies/theme", json!("[Filtered]"));
    plant("/request/headers/Authorization", json!("[Filtered]"));
    plant("/request/headers/Cookie", json!("[Filtered]"));
    plant("/request/data/user/passwd", json!("[Filtered]"));
    plant("/request/data/card", json!("[Filtered]"));
    plant("/request/env/HTTP_COOKIE", json!("[Filtered]"));
    plant("/tags/session", json!("[Filtered]"));
    plant("/user/auth", json!("[Filtered]"));
    plant("/extra/argv/0", json!("--password=[Filtered]"));
    plant("/extra/credentials", json!("[Filtered]"));

    let scrubbed = event(&planted.to_string());
    assert_eq!(value_of(&scrubbed), expected);
    assert!(!String::from_utf8(scrubbed.json).unwrap().contains("SECRET"));
    assert_eq!((scrubbed.warnings, scrubbed.filtered), (vec![], 27));
}

#[test]
fn source_lines_and_breadcrumbs_lose_what_stands_in_texts() {
    let lines = ["get('/in?token=tok999')", "// password=hunter99", "send(\"Bearer abc.def.ghi\")"];
    let shown = ["get('/in?token=[Filtered]')", "// password=[Filtered]", "send(\"Bearer [Filtered]\")"];
    let at = |lines: [&str; 3]| {
        let frame = json!({"pre_context": [lines[0]], "context_line": lines[1], "post_context": [lines[2]]});
        let crumbs = lines.map(|line| json!({"message": line, "category": "console"}));
        json!({
            "exception": {"values": [{"type": "E", "stacktrace": {"frames": [frame]}}]},
            "breadcrumbs": {"values": crumbs},
        })
    };
    assert_eq!(after(&at(lines)), at(shown));
}

#[test]
fn every_form_of_headers_cookies_and_tags_is_scrubbed() {
    for (request, expected) in [
        (json!({"cookies": "a=b; c=d"}), json!({"cookies": "[Filtered]"})),
        (json!({"cookies": [["a", "b"], ["c", ""]]}), json!({"cookies": [["a", "[Filtered]"], ["c", ""]]})),
        (json!({"cookies": null}), json!({"cookies": null})),
        (json!({"cookies": {}}), json!({"cookies": {}})),
        (
            json!({"headers": [["Authorization", "x"], ["Accept", "y"]]}),
            json!({"headers": [["Authorization", "[Filtered]"], ["Accept", "y"]]}),
        ),
        (
            json!({"query_string": [["pwd", "x"], ["a", "y"]]}),
            json!({"query_string": [["pwd", "[Filtered]"], ["a", "y"]]}),
        ),
        (
            json!({"query_string": {"pwd": "x", "a": "y"}}),
            json!({"query_string": {"pwd": "[Filtered]", "a": "y"}}),
        ),
        (
            json!({"data": {"rawHeaders": ["Host", "h", "Cookie", "x", "Cookie", "y", "A", "Cookie"]}}),
            json!({"data": {"rawHeaders": ["Host", "h", "Cookie", "[Filtered]", "Cookie", "[Filtered]", "A", "Cookie"]}}),
        ),
    ] {
        assert_eq!(after(&json!({ "request": request })), json!({ "request": expected }));
    }
    let tags = json!({"tags": [["api_key", "x"], ["b", 1], ["c"], [], [null, "Bearer abc123def"]]});
    let expected =
        json!({"tags": [["api_key", "[Filtered]"], ["b", 1], ["c"], [], [null, "Bearer [Filtered]"]]});
    assert_eq!(after(&tags), expected);
}

#[test]
fn what_clients_redacted_stays_as_it_is() {
    let raw = json!({"extra": {"password": "[REDACTED]", "token": "[Filtered]", "secret": "*****", "otp": "", "auth": false}});
    let scrubbed = event(&raw.to_string());
    assert_eq!((value_of(&scrubbed), scrubbed.filtered), (raw, 0));
}

#[test]
fn an_escaped_key_is_judged_by_what_it_means() {
    assert_eq!(event(r#"{"extra":{"pass\u0077ord":"x"}}"#).json, br#"{"extra":{"password":"[Filtered]"}}"#);
}

#[test]
fn keys_lose_their_secrets_and_so_do_the_paths_of_warnings() {
    let body = r#"{"password":"hunter2"}"#;
    let scrubbed = event(&json!({ "request": { "data": { body: "" } } }).to_string());
    let shown = r#"{"password":"[Filtered]"}"#;
    assert_eq!(value_of(&scrubbed), json!({ "request": { "data": { shown: "" } } }));
    assert_eq!(scrubbed.filtered, 1);
    let card = "4111 1111 1111 1111";
    let long = "x".repeat(20_000);
    for value in [
        json!({ "extra": { card: { "a": long } } }),
        json!({ card: { "a": long }, "token=hunter2": 1 }),
        json!({ "request": { "cookies": { "token=hunter2": "" }, "query_string": [["token=hunter2", ""]] } }),
        json!({ "tags": [["token=hunter2", "x"]], "_meta": { "extra": { card: { "": {} } } } }),
    ] {
        let scrubbed = event(&value.to_string());
        let shown = format!("{} {:?}", value_of(&scrubbed), scrubbed.warnings);
        assert!(!shown.contains("hunter2") && !shown.contains(card), "{shown}");
    }
    let rules = ScrubRules { safe_keys: vec!["map".to_owned()], ..ScrubRules::default() };
    let raw = json!({ "extra": { "map": { "token=x1": 1 } } }).to_string();
    assert_eq!(Scrubber::new(&rules).event(raw.as_bytes()).unwrap().json, raw.as_bytes());
    let scrubbed = event(&json!({ "extra": { "k".repeat(300): 1 } }).to_string());
    assert_eq!(kinds(&scrubbed), [("extra", WarningKind::Clipped)]);
}

#[test]
fn a_key_that_means_something_to_the_parser_is_renamed() {
    let key = ["$serde_json", "private", "RawValue"].join("::");
    for raw in [key.clone(), key.replace('s', "\\u0073")] {
        let scrubbed = event(&format!(r#"{{"extra":{{"a":{{"{raw}":"{{\"password\":\"hunter2"}}}}}}"#));
        assert_eq!(kinds(&scrubbed), [("extra.a", WarningKind::NotUnderstood)]);
        let kept = value_of(&scrubbed);
        assert!(kept["extra"]["a"].as_object().unwrap().contains_key("…RawValue"), "{kept}");
    }
}

#[test]
fn a_key_that_comes_twice_is_known_by_what_it_means() {
    let scrubbed = event(r#"{"message":"a","m\u0065ssage":"b"}"#);
    assert_eq!(value_of(&scrubbed), json!({ "message": "a" }));
    assert_eq!(kinds(&scrubbed), [("message", WarningKind::DuplicateKey)]);
}

#[test]
fn untouched_values_keep_their_digits_and_escapes() {
    let raw = r#"{"extra":{"a":1.10,"b":123456789012345678901234567890,"c":"\u00fc\/","d":1e5,"e":-0.0}}"#;
    assert_eq!(event(raw).json, raw.as_bytes());
}

#[test]
fn a_project_adds_and_exempts_names() {
    let rules = ScrubRules { extra_keys: vec!["iban".to_owned()], safe_keys: vec!["token".to_owned()] };
    let raw = br#"{"extra":{"customer_iban":"x","token":{"password":"kept"},"password":"y"},"message":"token=abc iban=def"}"#;
    let scrubbed = Scrubber::new(&rules).event(raw).unwrap();
    let expected = json!({
        "extra": {"customer_iban": "[Filtered]", "token": {"password": "kept"}, "password": "[Filtered]"},
        "message": "token=abc iban=[Filtered]",
    });
    assert_eq!(value_of(&scrubbed), expected);
}

#[test]
fn texts_and_other_values_are_scrubbed_alone() {
    let scrubber = Scrubber::default();
    assert_eq!(scrubber.text("password=x"), "password=[Filtered]");
    assert!(matches!(scrubber.text("plain"), Cow::Borrowed("plain")));
    assert_eq!(scrubber.json(br#"[{"password":"x"},1]"#).unwrap().json, br#"[{"password":"[Filtered]"},1]"#);
}

#[test]
fn what_is_not_quite_json_is_repaired_with_a_warning() {
    for (raw, expected, path, kind) in [
        (&b"{\"a\":\"x\xff\"}"[..], "{\"a\":\"x\u{fffd}\"}", "", WarningKind::InvalidUtf8),
        (br#"{"a":["\ud83d x"]}"#, "{\"a\":[\"\u{fffd} x\"]}", "a.0", WarningKind::LoneSurrogate),
        (br#"{"a":NaN}"#, r#"{"a":null}"#, "a", WarningKind::NotANumber),
        (br#"{"a":-Infinity}"#, r#"{"a":null}"#, "a", WarningKind::NotANumber),
        (br#"{"a":1e999}"#, r#"{"a":null}"#, "a", WarningKind::NotANumber),
        (b"{\"a\":\"x\ny\x01\"}", r#"{"a":"x\ny\u0001"}"#, "a", WarningKind::ControlCharacter),
        (br#"{"a":"\x41"}"#, r#"{"a":"\\x41"}"#, "a", WarningKind::BadEscape),
        (br#"{"a":1} x"#, r#"{"a":1}"#, "", WarningKind::TrailingBytes),
        (br#"{"level":1,"level":2,"a":0}"#, r#"{"level":1,"a":0}"#, "level", WarningKind::DuplicateKey),
        (b"{\"\\ud83d\":1}", "{\"\u{fffd}\":1}", "", WarningKind::LoneSurrogate),
    ] {
        let scrubbed = Scrubber::default().event(raw).unwrap();
        assert_eq!(String::from_utf8_lossy(&scrubbed.json), expected);
        assert_eq!(kinds(&scrubbed), [(path, kind)], "{expected}");
    }
    assert_eq!(event("\u{feff} {\"a\" : 1 }\n").json, br#"{"a":1}"#);
}

#[test]
fn what_cannot_be_repaired_is_refused_with_its_place() {
    let refused = |raw: &str| Scrubber::default().event(raw.as_bytes()).unwrap_err();
    assert_eq!(refused(""), ScrubError::Ended { at: 0 });
    assert_eq!(refused("[]"), ScrubError::NotAnObject);
    assert_eq!(refused("7"), ScrubError::NotAnObject);
    assert_eq!(refused(r#"{"a":"#), ScrubError::Ended { at: 5 });
    assert_eq!(refused(r#"{"a":"x"#), ScrubError::Ended { at: 7 });
    assert_eq!(refused(r#"{"a":1,}"#), ScrubError::Syntax { at: 7 });
    assert_eq!(refused(r#"{"a" 1}"#), ScrubError::Syntax { at: 5 });
    assert_eq!(refused(r#"{"a":[1 2]}"#), ScrubError::Syntax { at: 8 });
    assert_eq!(refused(r#"{"a":nope}"#), ScrubError::Syntax { at: 5 });
    assert_eq!(refused(r#"{"a":01}"#), ScrubError::Syntax { at: 5 });
    let bytes = RAW_BYTES_MAX + 1;
    assert_eq!(refused(&" ".repeat(bytes)), ScrubError::TooLarge { bytes, max: RAW_BYTES_MAX });
}

#[test]
fn long_lists_keep_their_ends_and_say_what_is_gone() {
    let list = |count: usize| {
        (0..count).map(|n| json!({"type": n, "function": n, "timestamp": n})).collect::<Vec<_>>()
    };
    let scrubbed = event(&json!({"exception": [{"stacktrace": {"frames": list(450)}}]}).to_string());
    let frames = value_of(&scrubbed)["exception"][0]["stacktrace"]["frames"].as_array().unwrap().clone();
    assert_eq!(
        (frames.len(), &frames[99]["function"], &frames[100]["function"]),
        (200, &json!(99), &json!(350))
    );
    let detail = "entries 100 to 349 of 450 left out";
    assert_eq!(scrubbed.warnings[0].path, "exception.0.stacktrace.frames");
    assert_eq!(scrubbed.warnings[0].detail, detail);

    let crumbs = after(&json!({"breadcrumbs": {"values": list(130)}}));
    let crumbs = crumbs["breadcrumbs"]["values"].as_array().unwrap();
    assert_eq!((crumbs.len(), &crumbs[0]["timestamp"]), (100, &json!(30)));

    let chain = after(&json!({"exception": {"values": list(50)}}));
    let chain = chain["exception"]["values"].as_array().unwrap();
    assert_eq!((chain.len(), &chain[15]["type"], &chain[16]["type"]), (32, &json!(15), &json!(34)));

    let tags: serde_json::Map<String, Value> = (0..130).map(|n| (format!("t{n:03}"), json!(n))).collect();
    let scrubbed = event(&json!({ "tags": tags }).to_string());
    assert_eq!(value_of(&scrubbed)["tags"].as_object().unwrap().len(), 101);
    assert_eq!(value_of(&scrubbed)["tags"]["…"], "30 more");
    assert_eq!(kinds(&scrubbed), [("tags", WarningKind::LeftOut)]);
}

#[test]
fn a_list_cut_by_bytes_keeps_what_was_thrown_last() {
    let frame = json!({"function": "f", "vars": {"a": "x".repeat(4000), "b": "y".repeat(4000)}});
    let mut frames = vec![frame; 100];
    frames.push(json!({"function": "crash"}));
    let scrubbed = event(&json!({"exception": {"values": [{"stacktrace": {"frames": frames}}]}}).to_string());
    let value = value_of(&scrubbed);
    let kept = value["exception"]["values"][0]["stacktrace"]["frames"].as_array().unwrap();
    assert!(kept.len() < 101 && kept.len() > 15, "{}", kept.len());
    assert_eq!(kept.last().unwrap()["function"], "crash");
    assert_eq!(kinds(&scrubbed), [("exception.values.0.stacktrace.frames", WarningKind::LeftOut)]);
}

#[test]
fn long_texts_and_deep_values_are_cut_visibly() {
    let scrubbed = event(&json!({"message": "x".repeat(9000), "tags": {"a": "y".repeat(600)}}).to_string());
    let value = value_of(&scrubbed);
    assert_eq!(value["message"].as_str().unwrap().len(), 8192);
    assert!(value["message"].as_str().unwrap().ends_with('…'));
    assert_eq!(kinds(&scrubbed), [("message", WarningKind::Clipped), ("tags.a", WarningKind::Clipped)]);

    let deep = format!(r#"{{"extra":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let scrubbed = event(&deep);
    assert!(String::from_utf8_lossy(&scrubbed.json).contains(r#"["… deeper"]"#));
    assert_eq!(scrubbed.warnings[0].kind, WarningKind::TooDeep);
    assert!(value_of(&scrubbed)["extra"][0].is_array());

    let key = "k".repeat(300);
    let scrubbed = event(&format!(r#"{{"extra":{{"{key}":1}}}}"#));
    assert!(value_of(&scrubbed)["extra"].as_object().unwrap().keys().all(|key| key.len() == 200));
}

#[test]
fn a_secret_is_found_before_its_text_is_cut() {
    let message = format!("{} password=hunter2hunter2", "x".repeat(8178));
    let shown = after(&json!({ "message": message }));
    assert!(!shown.to_string().contains("hunter2"), "{}", &shown.to_string()[8150..]);
}

#[test]
fn an_event_too_large_loses_the_least_of_its_parts_first() {
    let bulk = |count: usize| {
        (0..count).map(|n| (format!("k{n}"), json!("v".repeat(10_000)))).collect::<serde_json::Map<_, _>>()
    };
    let stack = json!({"frames": vec![json!({"function": "f", "vars": {"a": "x".repeat(4000)}}); 200]});
    let raw = json!({
        "extra": bulk(30), "contexts": bulk(30), "modules": bulk(10), "nonsense": bulk(10), "debug_meta": bulk(10),
        "exception": {"values": [{"type": "E", "stacktrace": stack}, {"type": "E", "stacktrace": stack}]},
        "request": {"data": bulk(20)}, "threads": {"values": [{"stacktrace": stack}]},
        "breadcrumbs": vec![json!({"message": "m".repeat(8000)}); 60], "message": "kept",
    });
    let scrubbed = event(&raw.to_string());
    assert!(scrubbed.json.len() <= EVENT_BYTES_MAX, "{}", scrubbed.json.len());
    let value = value_of(&scrubbed);
    assert_eq!(
        (&value["message"], value.get("nonsense"), value.get("modules")),
        (&json!("kept"), None, None)
    );
    assert_eq!(value["exception"]["values"].as_array().unwrap().len(), 2);
    let gone = scrubbed.warnings.iter().filter(|w| w.detail.contains("keep the event small")).count();
    assert!(gone >= 3, "{:?}", scrubbed.warnings);
}

#[test]
fn warnings_are_bounded_and_the_rest_counted() {
    let raw = format!(r#"{{"extra":[{}]}}"#, vec!["NaN"; 100].join(","));
    let scrubbed = event(&raw);
    assert_eq!(scrubbed.warnings.len(), WARNINGS_MAX + 1);
    assert_eq!(scrubbed.warnings[WARNINGS_MAX].detail, "75 more warnings");
}

/// Any JSON whose keys and texts say nothing about secrets.
fn innocent() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        "[a-z \"\\\\\\n\u{e4}\u{1f600}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = prop_oneof![
            "[f-j]{1,4}",
            Just("values".to_owned()),
            Just("frames".to_owned()),
            Just("data".to_owned())
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn innocent_events_come_out_as_they_went_in(parts in prop::collection::vec(innocent(), 8)) {
        let keys = ["exception", "extra", "contexts", "breadcrumbs", "tags", "user", "request", "anything"];
        let raw = Value::Object(keys.iter().map(|key| (*key).to_owned()).zip(parts).collect());
        let raw = raw.to_string();
        let scrubbed = event(&raw);
        prop_assert_eq!(value_of(&scrubbed), serde_json::from_str::<Value>(&raw).unwrap());
        prop_assert_eq!(scrubbed.warnings, vec![]);
    }

    #[test]
    fn what_is_accepted_is_valid_bounded_json_and_stays_as_it_is(
        raw in "\\{\"(extra|exception|tags|request|message)\":([\\[\\]{}:,\"]|\"a\"|\"password\"|\"cookies\"|\"frames\"|1|null|NaN|\\\\u[0-9a-f]{4}|\\\\|\\PC){0,30}\\}?",
    ) {
        if let Ok(scrubbed) = Scrubber::default().event(raw.as_bytes()) {
            let parsed: Result<Value, _> = serde_json::from_slice(&scrubbed.json);
            prop_assert!(parsed.is_ok(), "{} gave {}", raw, String::from_utf8_lossy(&scrubbed.json));
            let again = Scrubber::default().event(&scrubbed.json).unwrap();
            prop_assert_eq!(again.json, scrubbed.json);
        }
    }

    #[test]
    fn strict_json_objects_are_always_accepted(value in innocent()) {
        prop_assert!(Scrubber::default().json(value.to_string().as_bytes()).is_ok());
        let event_accepted = Scrubber::default().event(value.to_string().as_bytes()).is_ok();
        prop_assert_eq!(event_accepted, value.is_object());
    }
}
