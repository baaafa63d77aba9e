use proptest::prelude::*;

use super::*;

fn scrubbed(text: &str, style: Style) -> String {
    let mut found = Vec::new();
    find(text, style, &Names::default(), &mut found);
    let mut out = String::new();
    let mut at = 0;
    for secret in found {
        out.push_str(&text[at..secret.start]);
        out.push('█');
        at = secret.end;
    }
    out.push_str(&text[at..]);
    out
}

fn check(style: Style, table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(scrubbed(text, style), *expected);
    }
}

#[test]
fn named_values_are_found_in_texts() {
    check(
        Style::Text,
        &[
            ("password=hunter2", "password=█"),
            ("user=bob&password=hunter2&x=1", "user=bob&password=█&x=1"),
            ("/reset?access_token=abc&next=/", "/reset?access_token=█&next=/"),
            ("{'password': 'hunter2', 'a': 1}", "{'password': '█', 'a': 1}"),
            (r#"{"apiKey":"x y","b":2}"#, r#"{"apiKey":"█","b":2}"#),
            (r#""{\"token\":\"abc\\\"d\",\"e\":1}""#, r#""{\"token\":\"█\",\"e\":1}""#),
            ("{'pin_code': 1, 'password': 12345}", "{'pin_code': 1, 'password': █}"),
            ("SET password = 'a''b' WHERE id = 1", "SET password = '█' WHERE id = 1"),
            ("headers['x-api-key'] = \"k\"", "headers['x-api-key'] = \"█\""),
            (":password => \"p\"", ":password => \"█\""),
            ("password := 'p'", "password := '█'"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: █"),
            ("authorization=Bearer abc", "authorization=Bearer █"),
            ("Cookie: a=b; c=d\nHost: x", "Cookie: █\nHost: x"),
            ("api_key: abc123def", "api_key: █"),
            ("Password=s3cret;Server=db", "Password=█;Server=db"),
            ("session=abc", "session=█"),
            ("b'password': b'x'", "b'password': b'█'"),
            ("password='open", "password='█"),
            ("password='$2b$12$R9h/cIPz0gi.URNNX3kh2O'", "password='█'"),
            ("password=%hunter2 token=?x1 secret='<a>b'", "password=█ token=█ secret='█'"),
            (r#"token='{"a":1}' password="${PW:-x}""#, "token='█' password=\"█\""),
            ("token=bearer token abc", "token=bearer token █"),
        ],
    );
}

#[test]
fn prose_and_placeholders_stay() {
    for text in [
        "Unexpected token: punc (",
        "password: must be at least 8 characters",
        "Invalid token: unexpected end",
        "password=None, token=null, secret=''",
        "WHERE password = %s AND token = $1 AND secret = ? AND otp = {otp}",
        "password=[Filtered] token=****** secret=<redacted>",
        "password='%(pw)s' token=\"${TOKEN}\" secret='{{ secret.value }}' otp=${OTP} pwd='<your password>'",
        "password='%s' token='$12' secret='?' otp='[object Object]' pwd=%(pw)s passwd=crypt::hash(x)",
        "if token == other",
        "token != 'x'",
        "max_tokens=4096",
        "author: J. Doe=1",
        "token=Token(1)",
        "12:34:56 and a=b",
        "The bearer of bad news, basic authentication",
        "2026-11-21T02:38:40.559409Z",
        "5066081e73e444c1870ef13faa7234ac",
        "https://example.com:8080/path?page=2#top",
        "//cdn.example.com/a@b",
        "ssh_keys=3 and sk-learn and xoxb- and A K I A and SG.1",
        "https://hooks.slack.com/services/ and https://api.telegram.org/bot sig=11",
        "",
    ] {
        assert_eq!(scrubbed(text, Style::Text), text);
    }
}

#[test]
fn secrets_are_found_by_their_shape() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    check(
        Style::Text,
        &[
            ("card 4111 1111 1111 1111 declined", "card █ declined"),
            ("4111111111111111", "█"),
            ("id4111111111111111", "id4111111111111111"),
            ("ssn 078-05-1120.", "ssn █."),
            ("from DE89 3704 0044 0532 0130 00 to", "from █ to"),
            ("Authorization Bearer abc123def456 ok", "Authorization Bearer █ ok"),
            ("basic dXNlcjpwYXNz0", "basic █"),
            ("postgres://shop:s3cr@t@db:5432/shop", "postgres://shop:█@db:5432/shop"),
            ("redis://:pass@host/0 and https://k@host/1", "redis://:█@host/0 and https://k@host/1"),
            (&format!("jwt {jwt}!"), "jwt █!"),
            ("key sk_live_4eC39HqLyjWDarjtT1 used", "key █ used"),
            ("ghp_0123456789012345678901234567890123456", "█"),
            ("AKIAIOSFODNN7EXAMPLE", "█"),
            ("xoxb-1234567890-abcdefghij", "█"),
            ("xoxa-1234567890-abcdefghij and xoxe-1-abcdefghij0", "█ and █"),
            ("key SG.aB0-aB0-aB0-aB0-aB0-_.c1d_c1d_c1d_c1d_c1d_ ok", "key █ ok"),
            ("Bearer abc.def.ghi", "Bearer █"),
            (
                "post https://hooks.slack.com/services/T0/B0/xYz now",
                "post https://hooks.slack.com/services/█ now",
            ),
            ("https://api.telegram.org/bot12:AA-b_c/send", "https://api.telegram.org/bot█/send"),
            (
                "https://discord.com/api/webhooks/1/a-b?wait=true",
                "https://discord.com/api/webhooks/█?wait=true",
            ),
            ("?sv=2024&sig=aB%2Fc%3D&se=1", "?sv=2024&sig=█&se=1"),
            ("Kennwort=geheim passwort: geheim1", "Kennwort=█ passwort: █"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nrest",
                "-----BEGIN RSA PRIVATE KEY-----█-----END RSA PRIVATE KEY-----\nrest",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIE cut", "-----BEGIN PRIVATE KEY-----█"),
        ],
    );
}

#[test]
fn source_lines_lose_their_literals_alone() {
    check(
        Style::Code,
        &[
            ("password = \"hunter2\"", "password = \"█\""),
            ("    password: str = 'hunter2'", "    password: str = '█'"),
            ("const apiKey = `abc`;", "const apiKey = `█`;"),
            (
                "login(user, password=password, token=get_token())",
                "login(user, password=password, token=get_token())",
            ),
            ("connect(\"postgres://u:p@h/d\")", "connect(\"postgres://u:█@h/d\")"),
            ("if (token == \"x\") return", "if (token == \"x\") return"),
            ("def check(token: str) -> None:", "def check(token: str) -> None:"),
            ("charge(\"4111111111111111\")", "charge(\"█\")"),
            ("get(\"/in?token=tok999&x=1\") # password=hunter99", "get(\"/in?token=█&x=1\") # password=█"),
            ("auth(\"Bearer abc.def.ghi\")", "auth(\"Bearer █\")"),
            ("login(token=self.token2, password=args[0])", "login(token=self.token2, password=args[0])"),
            ("f(password=hash2(p), token=T[10])", "f(password=hash2(p), token=T[10])"),
        ],
    );
}

#[test]
fn locations_lose_credentials_and_parameters_alone() {
    check(
        Style::Location,
        &[
            ("https://u:p@host/app.js?auth_token=abc&v=2", "https://u:█@host/app.js?auth_token=█&v=2"),
            ("/srv/4111111111111111/token=x/main.py", "/srv/4111111111111111/token=x/main.py"),
            ("webpack-internal:///./src/password.js", "webpack-internal:///./src/password.js"),
        ],
    );
}

#[test]
fn a_hostile_text_costs_no_more_than_its_length() {
    const REPEATS: usize = 4000;
    let patterns = [
        "-eyJ",
        "eyJ",
        "ask-",
        "-sk-",
        "xAKIA",
        "AKIA",
        "-AIza",
        "_ghp_",
        "xghp_",
        "xoxb-",
        "glpat-",
        "bearer ",
        "xbearer ",
        "Basic  ",
        "-----BEGIN ",
        "-----BEGIN X-----",
        "-----END ",
        "://",
        "a:b@://",
        "://a:",
        "://hooks.slack.com/services/",
        "SG.a",
        "SG.aaaaaaaaaaaaaaaaaaaa.",
        "password=",
        "password=[",
        "token=%",
        "token=$",
        "token='",
        "token=''",
        r"token=\''",
        r#"token=\""#,
        "token=\"%",
        "token='{",
        "token:",
        "token: ",
        "token: bearer ",
        "cookie: ",
        "cookie: %",
        "cookie: {",
        "&token=",
        "token=bearer ",
        "tokens=1",
        "password:a=",
        "1",
        "1111 ",
        "1111-",
        "AA11",
        "AA11 ",
        "123-45-",
        "::",
        "==",
        "=",
    ];
    for pattern in patterns {
        for behind in ["", "(", "}", "'"] {
            let text = format!("{}{behind}", pattern.repeat(REPEATS));
            for style in [Style::Text, Style::Code, Style::Location] {
                let work = || find(&text, style, &Names::default(), &mut Vec::new());
                let steps = super::super::walk::steps_of(work);
                assert!(steps <= 64 * text.len(), "{pattern} {behind} {style:?}: {steps} of {}", text.len());
            }
        }
    }
}

proptest! {
    #[test]
    fn spans_are_in_order_apart_and_on_character_borders(
        text in "([a-z]{0,3}|password|token|=|:|//|@|'|\"|\\\\|Bearer |eyJ|ü|4111111111111111| |-----BEGIN |DE89|sk-|\\PC){0,40}",
    ) {
        for style in [Style::Text, Style::Code, Style::Location] {
            let mut found = Vec::new();
            find(&text, style, &Names::default(), &mut found);
            let mut floor = 0;
            for secret in found {
                prop_assert!(secret.start >= floor && !secret.is_empty());
                prop_assert!(text.get(secret.clone()).is_some());
                floor = secret.end;
            }
        }
    }

    #[test]
    fn a_card_is_found_wherever_it_stands(before in "[a-zäß ,;(\"]{0,20}", after in "[ ,;)\"!][a-z ]{0,20}") {
        let text = format!("{before} 5555-5555-5555-4444{after}");
        prop_assert_eq!(scrubbed(&text, Style::Text), format!("{before} █{after}"));
    }
}
