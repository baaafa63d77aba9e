//! Projects, keys, tokens, interned names.

use super::*;
use crate::accounts::keys::{KEYS_PER_PROJECT_MAX, KeySettings};
use crate::accounts::names::{ENVIRONMENTS_MAX, NameKind, OTHER};
use crate::accounts::projects::ProjectRef;
use crate::accounts::tokens::{NewToken, TOKEN_PREFIX, USED_EVERY};
use crate::base::text::BadLine;
use crate::base::{ProjectId, Severity};
use crate::resilience::Quota;
use crate::store::params;

#[test]
fn slugs_come_from_names_and_are_numbered_where_taken() {
    let fixture = Fixture::new();
    let slugs = ["Shop", "shop!", "SHOP", "12"].map(|name| fixture.project(name).slug.to_string());
    assert_eq!(slugs, ["shop", "shop-2", "shop-3", "project-12"]);
    let chosen = NewProject { name: "Other".to_owned(), slug: "shop".parse().ok() };
    let taken = fixture.change(move |tx, by, _| projects::create(tx, by, &chosen));
    assert!(matches!(taken, Err(Error::SlugTaken(slug)) if slug == "shop"));
    let nameless = NewProject { name: "  ".to_owned(), slug: None };
    let refused = fixture.change(move |tx, by, _| projects::create(tx, by, &nameless));
    assert!(matches!(refused, Err(Error::BadLine(BadLine::Empty { .. }))));
}

#[test]
fn names_are_refused_rather_than_cut_or_hidden() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let scopes: Scopes = "read".parse().unwrap();
    for name in ["x".repeat(101), "a\u{202e}b".to_owned(), "a\u{7}b".to_owned()] {
        let made = NewProject { name: name.clone(), slug: None };
        let refused = [
            fixture.change(move |tx, by, _| projects::create(tx, by, &made)).map(drop),
            fixture.change({
                let name = name.clone();
                move |tx, by, _| projects::rename(tx, by, shop, &name)
            }),
            fixture.change({
                let new = NewToken { name: name.clone(), scopes: scopes.clone(), project: None };
                move |tx, by, entropy| tokens::create(tx, by, entropy, &new).map(drop)
            }),
            fixture.change({
                let settings = KeySettings::new(KeyKind::Server, &name);
                move |tx, by, entropy| keys::create(tx, by, entropy, shop, &settings).map(drop)
            }),
        ];
        for refused in refused {
            assert!(matches!(refused, Err(Error::BadLine(_))), "{name:?}: {refused:?}");
        }
    }
    let longest = NewProject { name: "ä".repeat(100), slug: None };
    let made = fixture.change(move |tx, by, _| projects::create(tx, by, &longest)).unwrap();
    assert_eq!(made.name.chars().count(), 100);
}

#[test]
fn the_default_project_is_made_once_and_is_number_one() {
    let fixture = Fixture::new();
    let ensure = || fixture.change(|tx, by, _| projects::ensure_default(tx, by)).unwrap();
    let made = ensure().unwrap();
    assert_eq!((made.id, made.slug.as_str()), (ProjectId(1), "default"));
    assert_eq!(ensure(), None);
}

#[test]
fn a_project_is_named_by_number_or_slug() {
    let table = [
        ("7", Some(ProjectRef::Id(ProjectId(7)))),
        ("shop", "shop".parse().ok().map(ProjectRef::Slug)),
        ("0", None),
        ("99999999999999999999", None),
        ("", None),
        ("Shop", None),
        ("../etc", None),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<ProjectRef>().ok(), expected, "{text}");
    }
}

#[test]
fn the_first_event_is_noted_once() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let note = |at| fixture.change(move |tx, _, _| projects::note_first_event(tx, shop, at)).unwrap();
    assert!(note(NOON));
    assert!(!note(NOON + Duration::from_secs(1)));
    assert_eq!(fixture.read(|tx| projects::find(tx, shop)).unwrap().first_event_at, Some(NOON));
}

#[test]
fn a_key_lets_in_until_it_is_revoked_or_its_project_put_away() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let make = |kind| {
        let settings = KeySettings::new(kind, "web");
        fixture.change(move |tx, by, entropy| keys::create(tx, by, entropy, shop, &settings)).unwrap()
    };
    let (first, second) = (make(KeyKind::Browser).public_key, make(KeyKind::Server).public_key);
    assert_ne!(first, second);
    let grant = |key| fixture.read(|tx| keys::find_grant(tx, key));
    assert_eq!(
        grant(first).map(|grant| (grant.project, grant.slug.to_string())),
        Some((shop, "shop".to_owned()))
    );
    assert_eq!(grant(PublicKey([0; 16])), None);
    fixture.change(move |tx, by, _| keys::revoke(tx, by, first)).unwrap();
    assert_eq!(grant(first), None);
    assert!(matches!(fixture.change(move |tx, by, _| keys::revoke(tx, by, first)), Err(Error::UnknownKey)));
    assert!(grant(second).is_some());
    let listed: Vec<_> =
        fixture.read(|tx| keys::list(tx, shop)).into_iter().map(|key| key.public_key).collect();
    assert_eq!(listed, [second, first], "active ones first");
    fixture.change(move |tx, by, _| projects::archive(tx, by, shop)).unwrap();
    assert_eq!(grant(second), None);
    fixture.change(move |tx, by, _| projects::restore(tx, by, shop)).unwrap();
    assert!(grant(second).is_some());
}

#[test]
fn a_browser_key_minds_origins_and_severity_and_a_server_key_does_not() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let origins = Origins(vec!["https://shop.example".parse().unwrap()]);
    let mut settings = KeySettings { origins, ..KeySettings::new(KeyKind::Browser, "web") };
    let created = settings.clone();
    let key = fixture
        .change(move |tx, by, entropy| keys::create(tx, by, entropy, shop, &created))
        .unwrap()
        .public_key;
    let grant = || fixture.read(|tx| keys::find_grant(tx, key)).unwrap();
    assert_eq!(grant().origin(Some("https://shop.example")), OriginDecision::Allowed);
    assert_eq!(grant().origin(Some("https://evil.example")), OriginDecision::NotListed);
    assert_eq!(grant().cap(Severity::Critical), Severity::High);
    assert_eq!(grant().cap(Severity::Low), Severity::Low);
    assert_eq!(grant().quota(600).limit, 600);
    settings.allow_critical = true;
    settings.events_per_minute = Some(60);
    let changed = settings.clone();
    fixture.change(move |tx, by, _| keys::update(tx, by, key, &changed)).unwrap();
    assert_eq!(grant().cap(Severity::Critical), Severity::Critical);
    assert_eq!(grant().quota(600), Quota { limit: 60, period: Duration::from_mins(1), burst: 60 });
    settings.kind = KeyKind::Server;
    settings.allow_critical = false;
    fixture.change(move |tx, by, _| keys::update(tx, by, key, &settings)).unwrap();
    assert_eq!(grant().origin(None), OriginDecision::AllowedEverywhere);
    assert_eq!(grant().cap(Severity::Critical), Severity::Critical);
}

#[test]
fn a_keys_settings_are_bounded() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let create = |settings: KeySettings| {
        fixture.change(move |tx, by, entropy| keys::create(tx, by, entropy, shop, &settings))
    };
    let plain = KeySettings::new(KeyKind::Browser, "web");
    let none = KeySettings { events_per_minute: Some(0), ..plain.clone() };
    assert!(matches!(create(none), Err(Error::InvalidQuota)));
    let many = KeySettings { origins: Origins(vec!["*".parse().unwrap(); 51]), ..plain.clone() };
    assert!(matches!(create(many), Err(Error::TooMany { limit: 50, .. })));
    assert!(matches!(
        create(KeySettings::new(KeyKind::Server, " ")),
        Err(Error::BadLine(BadLine::Empty { .. }))
    ));
    for _ in 0..KEYS_PER_PROJECT_MAX {
        create(plain.clone()).unwrap();
    }
    assert!(matches!(create(plain), Err(Error::TooManyKeys)));
}

#[test]
fn a_dsn_is_written_as_sdks_read_it() {
    let key: PublicKey = "0123456789ABCDEF0123456789abcdef".parse().unwrap();
    let table = [
        ("http://127.0.0.1:8787", "http://0123456789abcdef0123456789abcdef@127.0.0.1:8787/7"),
        ("https://t.example/", "https://0123456789abcdef0123456789abcdef@t.example/7"),
        ("https://t.example/sub", "https://0123456789abcdef0123456789abcdef@t.example/sub/7"),
        ("http://[::1]:80", "http://0123456789abcdef0123456789abcdef@[::1]:80/7"),
    ];
    for (base, dsn) in table {
        assert_eq!(keys::dsn(base, key, ProjectId(7)), dsn);
    }
    for bad in ["", "0123", "+123456789abcdef0123456789abcdef", "g123456789abcdef0123456789abcdef0"] {
        assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
    }
}

#[test]
fn a_token_is_shown_once_found_by_its_hash_and_ends_when_revoked() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let scopes: Scopes = "write,read".parse().unwrap();
    let new = NewToken { name: "ci".to_owned(), scopes, project: Some(shop) };
    let (token, secret) =
        fixture.change(move |tx, by, entropy| tokens::create(tx, by, entropy, &new)).unwrap();
    assert!(secret.expose().starts_with(TOKEN_PREFIX));
    assert!(secret.expose().ends_with(&token.hint));
    let hash = TokenHash::of(secret.expose());
    let found = fixture.read(|tx| tokens::find_active(tx, &hash)).unwrap();
    assert_eq!(found, token);
    assert_eq!(found.actor().visible(), Visible::Only(vec![shop]));
    assert!(found.is_unseen(NOON));
    fixture.change(move |tx, by, _| tokens::touch(tx, token.id, by.now)).unwrap();
    let used = fixture.read(|tx| tokens::find_active(tx, &hash)).unwrap();
    assert!(!used.is_unseen(NOON + USED_EVERY - Duration::from_micros(1)));
    assert!(used.is_unseen(NOON + USED_EVERY));
    let revoked = fixture.change(move |tx, by, _| tokens::revoke(tx, by, token.uid)).unwrap();
    assert_eq!(revoked, hash);
    assert_eq!(fixture.read(|tx| tokens::find_active(tx, &hash)), None);
    let again = fixture.change(move |tx, by, _| tokens::revoke(tx, by, token.uid));
    assert!(matches!(again, Err(Error::UnknownToken)));
    assert!(fixture.read(tokens::list).is_empty());
}

#[test]
fn no_secret_stands_in_the_database() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com", Role::Owner).id;
    let new = NewToken { name: "ci".to_owned(), scopes: "admin".parse().unwrap(), project: None };
    let (_, token) = fixture.change(move |tx, by, entropy| tokens::create(tx, by, entropy, &new)).unwrap();
    let link = fixture.change(move |tx, by, entropy| links::create(tx, by, entropy, ada)).unwrap();
    let browser = sessions::Browser::default();
    let cookie =
        fixture.change(move |tx, by, entropy| sessions::open(tx, by.now, entropy, ada, &browser)).unwrap();
    for suffix in ["", "-wal"] {
        let mut name = fixture.store.path().to_owned().into_os_string();
        name.push(suffix);
        let bytes = std::fs::read(name).unwrap();
        for secret in [&token, &link, &cookie] {
            let needle = secret.expose().trim_start_matches(TOKEN_PREFIX).as_bytes();
            assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{suffix}");
        }
    }
}

#[test]
fn names_are_interned_per_project_and_kind() {
    let fixture = Fixture::new();
    let (shop, blog) = (fixture.project("Shop").id, fixture.project("Blog").id);
    let intern = |project, kind, name: &'static str| {
        fixture.change(move |tx, by, _| names::intern(tx, project, kind, name, by.now)).unwrap()
    };
    let production = intern(shop, NameKind::Environment, "production").unwrap();
    assert_eq!(intern(shop, NameKind::Environment, " production\n"), Some(production));
    assert_ne!(intern(shop, NameKind::Release, "production"), Some(production));
    assert_ne!(intern(blog, NameKind::Environment, "production"), Some(production));
    assert_eq!(intern(shop, NameKind::Release, " \u{0} "), None);
    let long = intern(shop, NameKind::Environment, "x".repeat(500).leak()).unwrap();
    let cut = NameKind::Environment.clean(&"x".repeat(500)).into_owned();
    assert_eq!(cut.chars().count(), 64);
    assert_eq!(fixture.read(|tx| names::find(tx, shop, NameKind::Environment, &cut)), Some(long));
    let nowhere =
        fixture.change(|tx, by, _| names::intern(tx, ProjectId(99), NameKind::Release, "1", by.now));
    assert!(matches!(nowhere, Err(Error::UnknownProject)));
}

#[test]
fn names_beyond_the_limit_become_one_and_known_ones_stay_themselves() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop").id;
    let kind = NameKind::Environment;
    let ids = fixture
        .change(move |tx, by, _| {
            (0..ENVIRONMENTS_MAX + 5)
                .map(|n| names::intern(tx, shop, kind, &format!("pr-{n}"), by.now))
                .collect::<Result<Vec<_>, _>>()
        })
        .unwrap();
    let bound = usize::try_from(ENVIRONMENTS_MAX).unwrap();
    let other = ids[bound].unwrap();
    assert!(ids[bound..].iter().all(|id| *id == Some(other)));
    assert_eq!(fixture.read(|tx| names::find(tx, shop, kind, OTHER)), Some(other));
    let known = fixture.change(move |tx, by, _| names::intern(tx, shop, kind, "pr-3", by.now)).unwrap();
    assert_eq!(known, ids[3]);
    let rows: i64 = fixture.read(|tx| {
        let sql = "SELECT count(*) FROM project_names WHERE project_id = ?1";
        Ok(tx.one(sql, params![shop.0], |row| row.get(0))?)
    });
    assert_eq!(rows, ENVIRONMENTS_MAX + 1);
    let release = fixture.change(move |tx, by, _| names::intern(tx, shop, NameKind::Release, "1", by.now));
    assert_ne!(release.unwrap(), Some(other), "releases have a limit of their own");
}
