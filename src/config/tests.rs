use std::path::Path;

use super::*;

/// Environment variables as a test writes them down.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A data folder, and a system file that may or may not be there.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn load(&self, flags: &Flags, environment: &[(&str, &str)]) -> Result<Loaded, Invalid> {
        load_from(flags, &environment_of(environment), &self.path("etc/tocsin.toml"))
    }

    fn data(&self) -> Flags {
        Flags { data: Some(self.path("data")), ..Flags::default() }
    }
}

fn environment_of(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn problems_of(result: Result<Loaded, Invalid>) -> Vec<String> {
    result.unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_later_layer_wins_key_by_key() {
    let place = Place::new();
    let file = "listen = '127.0.0.1:2'\n[issues]\nsample_floor = 2\n[retention]\ndays = 2\n";
    let with_flag = Flags { listen: Some("127.0.0.1:4".to_owned()), ..place.data() };
    let environment = [("TOCSIN_LISTEN", "127.0.0.1:3"), ("TOCSIN_ISSUES__SAMPLE_FLOOR", "3")];
    let cases: [(bool, Pairs<'_>, &Flags, u16, u32, u64); 4] = [
        (false, &[], &place.data(), 8787, 100, 90),
        (true, &[], &place.data(), 2, 2, 2),
        (true, &environment, &place.data(), 3, 3, 2),
        (true, &environment, &with_flag, 4, 3, 2),
    ];
    for (has_file, environment, flags, port, floor, days) in cases {
        if has_file {
            place.write("data/tocsin.toml", file);
        }
        let config = place.load(flags, environment).unwrap().config;
        let age = config.retention.age.as_secs() / 86_400;
        assert_eq!((config.server.listen.port(), config.issues.sample_floor, age), (port, floor, days));
    }
}

#[test]
fn the_defaults_are_valid_and_take_every_key_of_the_table() {
    Config::defaults().unwrap();
    // Every key set at once: a key without a field in its section's struct would be refused here.
    let place = Place::new();
    let own = |name: &str| match name {
        "data" => "/srv/tocsin",
        "base_url" => "https://tocsin.example.com",
        "admin_email" | "smtp.from" => "a@example.com",
        "admin_api_key" => "twenty-characters-of-it",
        "smtp.port" => "465",
        "smtp.tls" => "tls",
        "alerts.slack_webhook_url" | "alerts.webhook_url" => "https://hooks.example.com/x",
        _ => "some-text",
    };
    let environment: Environment =
        keys().map(|key| (key.variable(), key.default.unwrap_or(own(key.name)).to_owned())).collect();
    let loaded = load_from(&Flags::default(), &environment, &place.path("etc/tocsin.toml")).unwrap();
    let unset: Vec<_> =
        loaded.settings.iter().filter(|s| s.origin == Origin::Default).map(|s| s.key).collect();
    let empty = ["http.trusted_proxies", "alerts.email", "probes.private_targets"];
    assert_eq!(unset, empty, "empty lists are the default");
    assert_eq!(loaded.folder.path, Path::new("/srv/tocsin"));
}

#[test]
fn every_key_is_documented_unique_and_names_its_unit() {
    let units = [
        "_s",
        "_minutes",
        "_hours",
        "days",
        "_bytes_max",
        "_max",
        "_per_minute",
        "port",
        "_gb",
        "_floor",
        "_threads",
        "concurrency",
    ];
    let mut names = Vec::new();
    let markdown = reference_markdown();
    for key in keys() {
        assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{}", key.name);
        assert!(markdown.contains(&format!("| `{}` | `{}` |", key.name, key.variable())), "{}", key.name);
        assert!(!names.contains(&key.name), "{} stands twice", key.name);
        if matches!(key.kind, Kind::Whole { .. } | Kind::Number { .. }) {
            assert!(units.iter().any(|unit| key.name.ends_with(unit)), "{} has no unit", key.name);
        }
        names.push(key.name);
    }
}

#[test]
fn an_unknown_key_in_a_file_is_told_with_its_line_and_the_nearest_key() {
    let place = Place::new();
    let file =
        place.write("data/tocsin.toml", "mode = 'production'\n\n[smtp]\nhots = 'x'\n\n[wrong]\na = 1\n");
    let problems = problems_of(place.load(&place.data(), &[]));
    assert_eq!(
        problems,
        [
            format!("{}:4: `smtp.hots` is not a key; did you mean `smtp.host`?", file.display()),
            format!("{}:7: `wrong.a` is not a key; `tocsin config check --keys` lists them", file.display()),
        ]
    );
}

#[test]
fn an_unknown_variable_is_an_error_under_a_known_section_and_a_note_elsewhere() {
    let place = Place::new();
    let problems = problems_of(place.load(&place.data(), &[("TOCSIN_SMTP__HOTS", "x")]));
    assert_eq!(problems, ["TOCSIN_SMTP__HOTS: no key has this name; did you mean TOCSIN_SMTP__HOST?"]);
    let loaded = place.load(&place.data(), &[("TOCSIN_SMTP_HOST", "x"), ("TOCSIN_BIN", "x")]).unwrap();
    assert_eq!(
        loaded.notes,
        [
            "TOCSIN_BIN was ignored: no key has this name (they look like TOCSIN_SMTP__HOST)",
            "TOCSIN_SMTP_HOST was ignored: no key has this name; did you mean TOCSIN_SMTP__HOST?",
        ]
    );
}

#[test]
fn a_wrong_value_is_told_where_it_stands_and_never_repeated_when_secret() {
    let place = Place::new();
    let file =
        place.write("data/tocsin.toml", "test_api_key = 4711\n[retention]\ndays = 0\nmax_gb = 'much'\n");
    let environment = [
        ("TOCSIN_MODE", "dev"),
        ("TOCSIN_ISSUES__SAMPLE_FLOOR", "many"),
        ("TOCSIN_BASE_URL", "tocsin.example.com"),
        ("TOCSIN_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
    ];
    let problems = problems_of(place.load(&place.data(), &environment)).join("\n");
    let path = file.display();
    for expected in [
        format!("{path}:1: test_api_key expects text; found integer"),
        format!("{path}:3: retention.days expects whole number, 1 to 3650; found 0"),
        format!("{path}:4: retention.max_gb expects number, 0.25 to 100000; found string"),
        "TOCSIN_MODE: mode expects one of production, development; found `dev`".to_owned(),
        "TOCSIN_ISSUES__SAMPLE_FLOOR: issues.sample_floor expects whole number".to_owned(),
        "TOCSIN_BASE_URL: base_url is not a URL".to_owned(),
        "TOCSIN_HTTP__TRUSTED_PROXIES: http.trusted_proxies `proxy` is not an address".to_owned(),
    ] {
        assert!(problems.contains(&expected), "{expected}\nnot in\n{problems}");
    }
    assert!(!problems.contains("4711"));
}

#[test]
fn a_broken_file_is_told_with_its_line() {
    let place = Place::new();
    let file = place.write("data/tocsin.toml", "mode = 'production'\nlisten = \n");
    let problems = problems_of(place.load(&place.data(), &[]));
    assert!(problems[0].starts_with(&format!("{}:2: is not TOML:", file.display())), "{problems:?}");
}

#[test]
fn secrets_come_by_reference_and_are_never_shown() {
    let place = Place::new();
    let secret = place.write("secret", "pw-1\n");
    place.write("credentials/slack", "https://hooks.slack.com/services/T/B/x\n");
    let credentials = place.path("credentials").display().to_string();
    let reference = format!("file:{}", secret.display());
    let environment = [
        ("CREDENTIALS_DIRECTORY", credentials.as_str()),
        ("TOCSIN_SMTP__HOST", "mail.example.com"),
        ("TOCSIN_SMTP__USERNAME", "alarm@example.com"),
        ("TOCSIN_SMTP__PASSWORD", &reference),
        ("TOCSIN_ALERTS__SLACK_WEBHOOK_URL", "cred:slack"),
        ("TOCSIN_TEST_API_KEY", "open-sesame"),
    ];
    let loaded = place.load(&place.data(), &environment).unwrap();
    let smtp = loaded.config.smtp.clone().unwrap();
    assert_eq!((smtp.port, smtp.tls, smtp.from.as_str()), (587, SmtpTls::StartTls, "alarm@example.com"));
    assert_eq!(smtp.credentials.unwrap().1.expose(), "pw-1");
    assert!(
        matches!(&loaded.config.alerts.slack, Some(SlackTarget::Webhook { url }) if url.expose().ends_with("/x"))
    );
    let shown = format!("{:?} {:?}", loaded.settings, loaded.config);
    for secret in ["pw-1", "open-sesame", "hooks.slack.com"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert!(shown.contains("cred:slack"));

    let gone = [("TOCSIN_TEST_API_KEY", "file:/nonexistent/key")];
    let problems = problems_of(place.load(&place.data(), &gone));
    assert!(problems[0].starts_with("TOCSIN_TEST_API_KEY: test_api_key: cannot read /nonexistent/key"));
}

#[test]
fn aliases_count_with_a_note_and_only_where_the_own_name_is_not_set() {
    let place = Place::new();
    let environment = [
        ("SLACK_BOT_TOKEN", "xoxb-1"),
        ("SLACK_ALERTS_CHANNEL", "#alarm"),
        ("TEST_API_KEY", "theirs"),
        ("ADMIN_API_KEY", "twenty-characters-of-it"),
        ("TOCSIN_TEST_API_KEY", "ours"),
    ];
    let loaded = place.load(&place.data(), &environment).unwrap();
    assert!(
        matches!(&loaded.config.alerts.slack, Some(SlackTarget::Bot { channel, .. }) if channel == "#alarm")
    );
    assert_eq!(loaded.config.server.test_api_key.unwrap().expose(), "ours");
    assert_eq!(loaded.config.server.admin_api_key.unwrap().expose(), "twenty-characters-of-it");
    assert_eq!(loaded.notes.len(), 5);
    assert_eq!(loaded.notes[4], "test_api_key (TOCSIN_TEST_API_KEY) has no effect yet");
    assert!(loaded.notes[0].contains("TOCSIN_ALERTS__SLACK_BOT_TOKEN"));
}

#[test]
fn the_data_folder_is_chosen_with_its_reason() {
    let place = Place::new();
    let explicit = place.write("own.toml", "data = '/srv/explicit'\n");
    let with_config = Flags { config: Some(explicit.clone()), ..Flags::default() };
    let default = place.load(&Flags::default(), &[]).unwrap();
    assert_eq!((default.folder.reason, default.file), (FolderReason::Default, None));
    let system = place.write("etc/tocsin.toml", "data = '/srv/system'\n");
    let env = [("TOCSIN_DATA", "/srv/env")];
    let file_reason = |path: &Path| FolderReason::File(path.to_owned());
    let cases: [(&Flags, Pairs<'_>, &str, FolderReason, Option<&Path>); 5] = [
        (&Flags::default(), &[], "/srv/system", file_reason(&system), Some(&system)),
        (&Flags::default(), &env, "/srv/env", FolderReason::Environment, None),
        (
            &Flags { data: Some("/srv/flag".into()), ..Flags::default() },
            &env,
            "/srv/flag",
            FolderReason::Flag,
            None,
        ),
        (&with_config, &[], "/srv/explicit", file_reason(&explicit), Some(&explicit)),
        (
            &Flags { data: Some("/srv/system".into()), ..Flags::default() },
            &[],
            "/srv/system",
            FolderReason::Flag,
            Some(&system),
        ),
    ];
    for (flags, environment, path, reason, file) in cases {
        let loaded = place.load(flags, environment).unwrap();
        assert_eq!(loaded.folder, Folder { path: path.into(), reason });
        assert_eq!(loaded.file.as_deref(), file);
    }
    let missing = Flags { config: Some("/nonexistent.toml".into()), ..Flags::default() };
    assert_eq!(problems_of(place.load(&missing, &[])), ["--config: there is no file /nonexistent.toml"]);
}

#[test]
fn the_folder_is_found_without_reading_anything_in_it() {
    let place = Place::new();
    place.write("data/tocsin.toml", "this is not TOML");
    let choice = folder::choose(&place.data(), &Environment::new(), &place.path("etc/tocsin.toml")).unwrap();
    assert_eq!(choice.folder.path, place.path("data"));
    assert!(place.load(&place.data(), &[]).is_err());
}

#[test]
fn what_belongs_together_is_asked_for_together() {
    let place = Place::new();
    let cases: [(Pairs<'_>, &str); 11] = [
        (&[("TOCSIN_MODE", "development"), ("TOCSIN_LISTEN", "0.0.0.0:8787")], "must be a loopback address"),
        (&[("TOCSIN_ADMIN_EMAIL", "a@b.c")], "needs admin_password"),
        (&[("TOCSIN_SMTP__FROM", "a@b.c")], "smtp.host: is missing"),
        (&[("TOCSIN_SMTP__HOST", "mail.b.c")], "must be the sender's address"),
        (
            &[
                ("TOCSIN_SMTP__HOST", "mail.b.c"),
                ("TOCSIN_SMTP__FROM", "a@b.c"),
                ("TOCSIN_SMTP__TLS", "none"),
            ],
            "in the clear",
        ),
        (&[("TOCSIN_SMTP__HOST", "mail.b.c"), ("TOCSIN_SMTP__USERNAME", "a@b.c")], "needs smtp.password"),
        (&[("TOCSIN_ALERTS__SLACK_BOT_TOKEN", "xoxb-1")], "needs alerts.slack_channel"),
        (&[("TOCSIN_ALERTS__EMAIL", "a@b.c")], "needs smtp.host"),
        (&[("TOCSIN_ADMIN_API_KEY", "nineteen-characters")], "at least 20 characters"),
        (
            &[
                ("TOCSIN_ALERTS__EMAIL", "a@b.c, nobody"),
                ("TOCSIN_SMTP__HOST", "mail.b.c"),
                ("TOCSIN_SMTP__FROM", "a@b.c"),
            ],
            "holds `nobody`",
        ),
        (&[("TOCSIN_ALERTS__RING_AGAIN_AFTER_S", "900")], "must not be shorter"),
    ];
    for (environment, expected) in cases {
        let problems = problems_of(place.load(&place.data(), environment));
        assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
    }
    let empty = [("TOCSIN_SMTP__FROM", ""), ("TOCSIN_BASE_URL", " ")];
    assert!(place.load(&place.data(), &empty).is_ok(), "set to nothing is not set");
}

#[test]
fn addresses_of_channels_hold_no_password() {
    let place = Place::new();
    for (variable, value, told) in [
        (
            "TOCSIN_ALERTS__WEBHOOK_URL",
            "https://ops:pw@example.com/x",
            "must not hold a user name or password",
        ),
        ("TOCSIN_ALERTS__WEBHOOK_URL", "http://ops@10.0.0.1/x", "must not hold a user name or password"),
        ("TOCSIN_ALERTS__SLACK_WEBHOOK_URL", "https://:pw@hooks.slack.com/x", "must not hold a user name"),
        ("TOCSIN_ALERTS__WEBHOOK_URL", "ftp://example.com/x", "must be a URL that begins with https://"),
        ("TOCSIN_ALERTS__WEBHOOK_URL", "example.com", "must be a URL that begins with https://"),
    ] {
        let environment = Environment::from([(variable.to_owned(), value.to_owned())]);
        let refused = load_from(&Flags::default(), &environment, &place.path("etc/tocsin.toml")).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(told) && text.contains(variable) && !text.contains("pw@"), "{value}: {text}");
    }
}
