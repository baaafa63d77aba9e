//! What must fall together and what must not, by families of mutations.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn grouped(event: &Value) -> Grouping {
    group(&EventHead::parse(&event.to_string()).unwrap())
}

#[track_caller]
fn one_issue(events: &[Value]) {
    let first = grouped(&events[0]);
    for event in events {
        let other = grouped(event);
        assert_eq!(first.key, other.key, "{:?}\n{:?}\n{event}", first.reason, other.reason);
    }
}

#[track_caller]
fn different_issues(events: &[Value]) {
    for (nth, event) in events.iter().enumerate() {
        for other in &events[..nth] {
            let (a, b) = (grouped(event), grouped(other));
            assert_ne!(a.key, b.key, "{:?}\n{:?}", a.reason, b.reason);
        }
    }
}

/// A frame of a browser: function, file, line, column.
fn js(function: &str, filename: &str, lineno: u32, colno: u32) -> Value {
    json!({"function": function, "filename": filename, "lineno": lineno, "colno": colno, "in_app": true})
}

fn js_error(error_type: &str, value: &str, frames: &[Value]) -> Value {
    json!({"platform": "javascript", "exception": {"values": [
        {"type": error_type, "value": value, "stacktrace": {"frames": frames}}]}})
}

/// One error as the SDK reports it from Chrome, Edge, Firefox and Safari: a click handler of a cart component
/// calls `submit`, which calls the helper `formatPrice` within a `map` over the items.
fn four_browsers(host: &str, hash: &str, line: u32) -> Vec<Value> {
    let file = format!("https://{host}/assets/main.{hash}.js");
    let (outer, inner) = (line + 40, line);
    let chrome = |host_file: &str| {
        js_error(
            "TypeError",
            "Cannot read properties of undefined (reading 'price')",
            &[
                js("HTMLButtonElement.onclick", &format!("https://{host}/cart"), 12, 9),
                js("onClick", host_file, outer + 4, 21),
                js("CartStore.submit", host_file, outer, 33),
                js("Array.map", "<anonymous>", 0, 0),
                js("?", host_file, outer, 51),
                js("Object.formatPrice", host_file, inner, 18),
            ],
        )
    };
    let firefox = js_error(
        "TypeError",
        "can't access property \"price\", item is undefined",
        &[
            js("onclick", &format!("https://{host}/cart"), 1, 1),
            js("onClick", &file, outer + 4, 16),
            js("submit", &file, outer, 28),
            js("submit/<", &file, outer, 49),
            js("formatPrice", &file, inner, 14),
        ],
    );
    let safari = js_error(
        "TypeError",
        "undefined is not an object (evaluating 'item.price')",
        &[
            js("?", &format!("https://{host}/cart"), 12, 1),
            js("onClick", &file, outer + 4, 27),
            js("submit", &file, outer, 40),
            js("map", "[native code]", 0, 0),
            js("?", &file, outer, 58),
            js("formatPrice", &file, inner, 24),
        ],
    );
    vec![chrome(&file), chrome(&format!("{file}?v=2")), firefox, safari]
}

#[test]
fn the_same_error_of_four_browsers_is_one_issue_across_hosts_builds_and_lines() {
    let mut events = four_browsers("shop.example.com", "3f2a1b9c", 100);
    events.extend(four_browsers("www.example.org", "99bc0de1", 180));
    one_issue(&events);
    assert_eq!(
        grouped(&events[0]).reason.sentence(),
        "Same TypeError and same in-app frames formatPrice, submit, onClick. \
         Line numbers, values, hosts and builds are ignored."
    );
}

#[test]
fn a_promise_chain_of_four_browsers_is_one_issue() {
    let file = "https://shop.example.com/assets/index-BfX9_d2k.js";
    let chrome =
        [js("async checkout", file, 90, 5), js("Api.pay", file, 40, 11), js("new ApiError", file, 7, 3)];
    let firefox_debug =
        [js("async*checkout", file, 90, 3), js("pay", file, 40, 9), js("ApiError", file, 7, 1)];
    let safari = [js("pay", file, 40, 19), js("ApiError", file, 7, 9)];
    let classic =
        [js("promise callback*checkout", file, 90, 3), js("pay", file, 40, 9), js("ApiError", file, 7, 1)];
    one_issue(&[
        js_error("ApiError", "402 from gateway", &chrome),
        js_error("ApiError", "402 from gateway", &firefox_debug),
        js_error("ApiError", "402 from gateway", &safari),
        js_error("ApiError", "402 from gateway", &classic),
    ]);
}

#[test]
fn too_much_recursion_is_one_issue_in_every_engine() {
    let file = "https://x.example/app.js";
    let deep = |depth: usize| vec![js("walk", file, 3, 1); depth];
    one_issue(&[
        js_error("RangeError", "Maximum call stack size exceeded", &deep(50)),
        js_error("RangeError", "Maximum call stack size exceeded.", &deep(42)),
        js_error("InternalError", "too much recursion", &deep(31)),
    ]);
}

#[test]
fn another_caller_of_the_same_helper_is_another_issue() {
    let file = "https://shop.example.com/assets/main.3f2a1b9c.js";
    let called_by =
        |caller: &str| js_error("TypeError", "x", &[js(caller, file, 1, 1), js("formatPrice", file, 9, 1)]);
    different_issues(&[called_by("renderCart"), called_by("renderInvoice")]);
    let python =
        |caller: &str| chain(&[("KeyError", "'a'", &[("shop.cart", caller, 3), ("shop.price", "total", 9)])]);
    different_issues(&[python("checkout"), python("preview")]);
    let route = |directory: &str| {
        let file = format!("https://x/_next/static/chunks/app/api/{directory}/route-0a1b2c3d4e5f6071.js");
        js_error("Error", "x", &[js("POST", &file, 1, 1)])
    };
    different_issues(&[route("orders"), route("users")]);
}

type Exceptions<'a> = &'a [(&'a str, &'a str, &'a [(&'a str, &'a str, u32)])];

/// A Python event: type, value and frames (module, function, line) of each exception, causes first.
fn chain(exceptions: Exceptions<'_>) -> Value {
    let values: Vec<Value> = exceptions
        .iter()
        .map(|(error_type, value, frames)| {
            let frames: Vec<Value> = frames
                .iter()
                .map(|(module, function, line)| {
                    json!({"module": module, "function": function, "lineno": line, "in_app": true,
                        "filename": format!("{}.py", module.replace('.', "/")), "context_line": format!("line {line}")})
                })
                .collect();
            json!({"type": error_type, "value": value, "stacktrace": {"frames": frames}})
        })
        .collect();
    json!({"platform": "python", "exception": {"values": values}})
}

#[test]
fn the_whole_chain_counts() {
    let connection = ("ConnectionError", "refused", &[("shop.db", "connect", 5)][..]);
    let timeout = ("TimeoutError", "10s", &[("shop.db", "connect", 5)][..]);
    let failed = ("RuntimeError", "pay failed", &[("shop.pay", "charge", 9), ("shop.pay", "pay", 12)][..]);
    different_issues(&[chain(&[connection, failed]), chain(&[timeout, failed]), chain(&[failed])]);
    assert_eq!(
        grouped(&chain(&[connection, failed])).reason.sentence(),
        "Same chain RuntimeError ← ConnectionError and same in-app frames pay, charge. \
         Line numbers, values, hosts and builds are ignored."
    );
}

#[test]
fn frames_of_libraries_count_only_where_there_are_no_others() {
    let with_library = |library: &str| {
        json!({"platform": "python", "exception": [{"type": "E", "stacktrace": {"frames": [
            {"module": "shop.views", "function": "pay", "in_app": true},
            {"module": library, "function": "send", "in_app": false}]}}]})
    };
    one_issue(&[with_library("requests.api"), with_library("urllib3.pool")]);
    let only_library = |module: &str| {
        json!({"platform": "python", "exception": [{"type": "E", "stacktrace": {"frames": [
            {"module": module, "function": "send", "in_app": false}]}}]})
    };
    different_issues(&[only_library("requests.api"), only_library("urllib3.pool")]);
}

#[test]
fn the_panic_machinery_does_not_count_though_it_is_marked_as_in_app() {
    let panic = |own: &str, hook: &[&str]| {
        let mut frames = vec![json!({"function": own, "filename": "main.rs", "in_app": true})];
        frames
            .extend(hook.iter().map(|name| json!({"function": name, "filename": "lib.rs", "in_app": true})));
        json!({"platform": "native", "exception": [{"type": "panic", "stacktrace": {"frames": frames}}]})
    };
    let (old, new) = (["rust_begin_unwind"], ["__rustc::rust_begin_unwind", "sentry_panic::panic_handler"]);
    one_issue(&[panic("shop::charge", &[]), panic("shop::charge", &old), panic("shop::charge", &new)]);
    different_issues(&[panic("shop::charge", &new), panic("shop::refund", &new)]);
}

#[test]
fn three_native_crashes_of_one_title_are_three() {
    let crash = |frames: Value| {
        json!({"platform": "native", "exception": {"values": [{"type": "SIGSEGV", "value": "Segfault",
            "mechanism": {"type": "signalhandler", "synthetic": true, "handled": false},
            "stacktrace": {"frames": frames}}]}})
    };
    let named = |function: &str, addr: &str| {
        crash(json!([{"function": "main", "instruction_addr": "0x401000", "package": "/opt/shop/bin/shop"},
            {"function": function, "instruction_addr": addr, "package": "/opt/shop/bin/shop"}]))
    };
    different_issues(&[named("parse(int)", "0x1"), named("render(int)", "0x2"), named("save(int)", "0x3")]);
    one_issue(&[named("parse(int)", "0x7f01"), named("parse(char const*)", "0x7f99")]);
    let stripped = |image: u64, offset: u64| {
        crash(json!([{"package": "/usr/lib/libc.so.6", "instruction_addr": format!("{:#x}", image + offset),
            "image_addr": format!("{image:#x}")}]))
    };
    one_issue(&[stripped(0x7f00_0000_0000, 0x1234), stripped(0x7fab_0000_0000, 0x1234)]);
    different_issues(&[stripped(0x7f00_0000_0000, 0x1234), stripped(0x7f00_0000_0000, 0x1240)]);
    let thread = |function: &str| {
        json!({"platform": "native", "message": "crash", "threads": {"values": [
            {"current": true, "stacktrace": {"frames": [{"function": "idle"}]}},
            {"crashed": true, "stacktrace": {"frames": [{"function": function}]}}]}})
    };
    different_issues(&[thread("parse"), thread("render")]);
}

#[test]
fn generated_names_of_the_jvm_ruby_and_php_do_not_split() {
    let frame = |platform: &str, module: &str, function: &str, file: &str| {
        json!({"platform": platform, "exception": [{"type": "E", "value": "v", "stacktrace": {"frames": [
            {"module": (!module.is_empty()).then_some(module), "function": function, "filename": file, "in_app": true}]}}]})
    };
    one_issue(&[
        frame("java", "com.acme.Pay$$EnhancerBySpringCGLIB$$1a2b", "lambda$pay$3", "Pay.java"),
        frame("java", "com.acme.Pay$$SpringCGLIB$$0", "lambda$pay$7", "Pay.java"),
    ]);
    one_issue(&[
        frame("ruby", "", "block (2 levels) in pay", "/srv/shop/releases/20260101120000/app/models/cart.rb"),
        frame("ruby", "", "block in Cart#pay", "/srv/shop/releases/20260202130000/app/models/cart.rb"),
    ]);
    one_issue(&[
        frame("php", "", "App\\Cart::{closure:App\\Cart::pay():42}", "/srv/current/src/Cart.php"),
        frame("php", "", "App\\Cart::{closure:App\\Cart::pay():57}", "/srv/releases/7/src/Cart.php"),
    ]);
}

#[test]
fn anonymous_functions_are_told_apart_by_their_source_line() {
    let event = |line: &str, lineno: u32| {
        json!({"platform": "node", "exception": [{"type": "E", "value": "v", "stacktrace": {"frames": [
            {"module": "app", "function": "?", "lineno": lineno, "context_line": line, "in_app": true}]}}]})
    };
    one_issue(&[event("  app.get('/pay',  pay)", 3), event("app.get('/pay', pay)", 99)]);
    different_issues(&[event("app.get('/pay', pay)", 3), event("app.get('/buy', buy)", 3)]);
}

#[test]
fn without_a_stack_type_and_value_count_without_their_values() {
    let event = |error_type: &str, value: &str| json!({"exception": {"type": error_type, "value": value}});
    one_issue(&[
        event("E", "order 17 at 10.0.0.1 on 2026-01-02 took 30ms"),
        event("E", "order 9 at 10.9.9.9 on 2027-11-12 took 1999ms"),
        event("E", "order 9 at 10.9.9.9 on 2027-11-12 took 1999ms\n\n"),
    ]);
    different_issues(&[
        event("E", "gateway returned 503"),
        event("E", "gateway returned 429"),
        event("F", "gateway returned 503"),
        event("E", "other"),
    ]);
}

#[test]
fn messages_go_by_their_template_and_keep_codes() {
    let log = |template: &str, text: &str| json!({"logentry": {"message": template, "formatted": text}});
    one_issue(&[log("user %s left", "user jo left"), log("user %s left", "user al left")]);
    different_issues(&[
        log("provider %s returned %s", "provider stripe returned 502"),
        log("provider %s returned %s", "provider stripe returned 429"),
    ]);
    different_issues(&[log("%s", "disk full"), log("%s", "cannot bind")]);
    different_issues(&[log("%(error)s: {x}", "disk full"), log("%(error)s: {x}", "cannot bind")]);
    one_issue(&[json!({"message": "job 7 failed"}), json!({"message": "job 8 failed"})]);
}

#[test]
fn a_captured_message_with_a_stack_goes_by_both() {
    let event = |text: &str, caller: &str| {
        json!({"platform": "javascript", "exception": [{"value": text, "mechanism": {"synthetic": true, "handled": true},
            "stacktrace": {"frames": [{"function": caller, "filename": "https://x/app.js", "in_app": true}]}}]})
    };
    one_issue(&[event("job 7 failed", "run"), event("job 8 failed", "run")]);
    different_issues(&[event("job 7 failed", "run"), event("disk full", "run"), event("disk full", "poll")]);
}

#[test]
fn members_of_an_exception_group_count_once_and_in_any_order() {
    let group_of = |members: &[&str]| {
        let mut values: Vec<Value> = members
            .iter()
            .enumerate()
            .map(|(nth, error_type)| {
                json!({"type": error_type, "value": format!("v{nth}"), "mechanism": {"exception_id": nth + 1, "parent_id": 0},
                    "stacktrace": {"frames": [{"module": "m", "function": "check", "in_app": true}]}})
            })
            .collect();
        values.push(
            json!({"type": "ExceptionGroup", "mechanism": {"exception_id": 0, "is_exception_group": true}}),
        );
        json!({"platform": "python", "exception": {"values": values}})
    };
    one_issue(&[
        group_of(&["ValueError", "TypeError"]),
        group_of(&["TypeError", "ValueError"]),
        group_of(&["TypeError", "ValueError", "TypeError"]),
    ]);
    different_issues(&[group_of(&["ValueError"]), group_of(&["ValueError", "TypeError"])]);
}

#[test]
fn the_clients_fingerprint_goes_before_and_default_refines() {
    let event = |fingerprint: Value, error_type: &str| json!({"fingerprint": fingerprint, "exception": {"type": error_type, "value": "v"}, "tags": {"region": "eu"}});
    one_issue(&[event(json!(["mine"]), "A"), event(json!(["mine"]), "B")]);
    one_issue(&[
        event(json!([]), "A"),
        event(json!(["{{ default }}"]), "A"),
        event(json!(["{{default}}"]), "A"),
    ]);
    different_issues(&[
        event(json!(["{{ default }}"]), "A"),
        event(json!(["{{ default }}", "mine"]), "A"),
        event(json!(["{{ default }}", "mine"]), "B"),
        event(json!(["mine"]), "A"),
        event(json!(["mi", "ne"]), "A"),
        event(json!(["{{ error.type }}"]), "A"),
        event(json!(["{{ error.type }}"]), "B"),
    ]);
    one_issue(&[event(json!(["{{ tags.region }}"]), "A"), event(json!(["eu"]), "B")]);
    one_issue(&[event(json!(["{{ unknown }}"]), "A"), event(json!(["{{ unknown }}"]), "B")]);
    let long = |tail: &str| event(json!([format!("{}{tail}", "ä".repeat(8 * 1024))]), "A");
    one_issue(&[long("x"), long("y")]);
}

#[test]
fn where_nothing_is_known_the_origin_counts() {
    let event = |logger: &str, transaction: &str| json!({"logger": logger, "transaction": transaction});
    different_issues(&[event("a", "/x"), event("b", "/x"), event("a", "/y"), json!({})]);
    assert_eq!(grouped(&event("a", "/x")).reason.kind(), "nothing");
}

/// Keys are stored: whoever changes them must add an algorithm, not change this one.
#[test]
fn keys_are_stable_for_ever() {
    let event = chain(&[("KeyError", "'a'", &[("shop.cart", "checkout", 3)])]);
    let hex = grouped(&event).key.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    insta::assert_snapshot!(hex, @r#"
        bcf7f31b4b48c5793196db57d30caf05
        "#);
    assert_eq!(grouped(&event).algorithm, CURRENT);
}

#[test]
fn a_reason_is_read_back_from_its_json() {
    let event = json!({"fingerprint": ["{{ default }}", "x"], "platform": "python",
        "exception": {"type": "E", "stacktrace": {"frames": [{"module": "m", "function": "f", "in_app": true}]}}});
    let reason = grouped(&event).reason;
    let json = serde_json::to_string(&reason).unwrap();
    insta::assert_snapshot!(json, @r#"
        {"kind":"fingerprint","parts":["x"],"refines":{"kind":"chain","chain":[{"type":"E","in_app":true,"frames":["f in m"]}]}}
        "#);
    assert_eq!(serde_json::from_str::<GroupingReason>(&json).unwrap(), reason);
}

proptest! {
    /// Lines, values, ids and recursion depth of a Python chain change; the issue does not.
    #[test]
    fn values_lines_and_depth_never_split(
        line in 1_u32..5_000, shift in 1_u32..300, order in any::<u32>(), depth in 1_usize..40,
    ) {
        let event = |line: u32, value: &str, depth: usize| {
            let mut frames = vec![("shop.views", "checkout", line)];
            frames.extend(vec![("shop.tree", "walk", line + 7); depth]);
            chain(&[("KeyError", value, &[("shop.db", "get", line + 2)]), ("PayError", value, &frames)])
        };
        let first = grouped(&event(line, "order 1", 1));
        let second = grouped(&event(line + shift, &format!("order {order} of {order:032x}"), depth));
        prop_assert_eq!(first.key, second.key);
    }

    /// Mutual recursion collapses too, where whole rounds differ.
    #[test]
    fn rounds_of_mutual_recursion_never_split(period in 1_usize..=4, rounds in 1_usize..12) {
        let names = ["parse", "expand", "visit", "reduce"];
        let event = |rounds: usize| {
            let round: Vec<_> = names[..period].iter().map(|name| ("m", *name, 1)).collect();
            chain(&[("E", "v", &round.repeat(rounds))])
        };
        prop_assert_eq!(grouped(&event(1)).key, grouped(&event(rounds)).key);
    }

    /// Any other function anywhere in the stack is another issue.
    #[test]
    fn another_function_always_splits(len in 1_usize..12, at in any::<prop::sample::Index>()) {
        let names: Vec<String> = (0..len).map(|nth| format!("f{nth}")).collect();
        let mut other = names.clone();
        other[at.index(len)] = "other".to_owned();
        let event = |names: &[String]| {
            let frames: Vec<_> = names.iter().map(|name| ("m", name.as_str(), 1)).collect();
            chain(&[("E", "v", &frames)])
        };
        prop_assert_ne!(grouped(&event(&names)).key, grouped(&event(&other)).key);
    }

    #[test]
    fn builds_and_hosts_never_split(hash in "[0-9a-f]{8}", host in "[a-z]{3,9}\\.example\\.(com|org)", line in 1_u32..9_000) {
        prop_assume!(hash.bytes().any(|byte| byte.is_ascii_digit()));
        let first = four_browsers("shop.example.com", "3f2a1b9c", 10);
        for (a, b) in first.iter().zip(four_browsers(&host, &hash, line)) {
            prop_assert_eq!(grouped(a).key, grouped(&b).key);
        }
    }
}
