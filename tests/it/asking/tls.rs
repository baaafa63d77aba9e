//! Certificates good and bad, of an authority that lives as long as a test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use serde_json::json;
use tocsin::base::{Clock, Timestamp};
use tocsin::probes::Kind;
use tocsin::probes::condition::{Condition, Finding};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::server::{drain, request_head};
use super::{asker, failure, holds, knows_every_field, question, read};

const DAY: i64 = 86_400;

/// What a server shows.
pub(super) struct Papers {
    name: &'static str,
    from_days: i64,
    until_days: i64,
    signed_by: SignedBy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SignedBy {
    Authority,
    Itself,
    Stranger,
}

pub(super) struct Encrypted {
    pub(super) address: SocketAddr,
    /// PEM text of the authority that the test trusts.
    pub(super) authority: String,
    _tasks: JoinSet<()>,
}

impl Papers {
    pub(super) fn good() -> Self {
        Self { name: "localhost", from_days: -10, until_days: 30, signed_by: SignedBy::Authority }
    }

    /// Answers whatever is asked over TLS with a line of HTTP.
    pub(super) async fn serve(&self, versions: &[&'static SupportedProtocolVersion]) -> Encrypted {
        let (authority, other) = (authority("tests"), authority("strangers"));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([self.name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "server of the tests");
        if self.signed_by == SignedBy::Itself {
            // As `openssl req -x509` makes them.
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        (params.not_before, params.not_after) = (day!(self.from_days), day!(self.until_days));
        let (certificate, shown) = match self.signed_by {
            SignedBy::Authority => (params.signed_by(&key, &authority.0).unwrap(), Some(&authority.1)),
            SignedBy::Stranger => (params.signed_by(&key, &other.0).unwrap(), Some(&other.1)),
            SignedBy::Itself => (params.self_signed(&key).unwrap(), None),
        };
        let chain = [Some(&certificate), shown].into_iter().flatten().map(|one| one.der().clone()).collect();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(config))));
        Encrypted { address, authority: authority.1.pem(), _tasks: tasks }
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, rcgen::Certificate) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, format!("authority of the {name}"));
    (params.not_before, params.not_after) = (day!(-100), day!(100));
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate)
}

/// Midnight so many days from now. What comes out has a type whose crate nothing else here needs.
macro_rules! day {
    ($days:expr) => {{
        let at = (Clock::system().now().as_secs() + $days * DAY).max(0);
        let date = Timestamp::from_secs(at).to_chrono().date_naive();
        let (month, day) = (chrono::Datelike::month(&date), chrono::Datelike::day(&date));
        date_time_ymd(chrono::Datelike::year(&date), month.try_into().unwrap(), day.try_into().unwrap())
    }};
}
use day;

async fn accept(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        open.spawn(greet(stream, acceptor.clone()));
    }
}

/// Many of those who come only want to see the certificate.
async fn greet(stream: TcpStream, acceptor: TlsAcceptor) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    if request_head(&mut stream).await.is_empty() {
        return;
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello";
    stream.write_all(answer).await.ok();
    // Without the farewell of TLS, as many servers hang up.
    stream.get_mut().0.shutdown().await.ok();
    drain(stream.get_mut().0).await;
}

async fn look(papers: &Papers, conditions: &[&str]) -> tocsin::probes::Seen {
    let server = papers.serve(rustls::ALL_VERSIONS).await;
    let target = json!({"kind": "tls", "host": "localhost", "port": server.address.port()});
    let seen = asker(Some(&server.authority)).ask(&question(target.clone())).await;
    holds(&read(target), &seen, conditions);
    seen
}

#[tokio::test]
async fn every_field_of_the_kind_is_seen() {
    for (versions, says) in [([&version::TLS12], "TLSv1.2"), ([&version::TLS13], "TLSv1.3")] {
        let server = Papers::good().serve(&versions).await;
        let target = json!({"kind": "tls", "host": "localhost", "port": server.address.port()});
        let seen = asker(Some(&server.authority)).ask(&question(target.clone())).await;
        knows_every_field(&read(target.clone()), &seen);
        holds(
            &read(target),
            &seen,
            &[
                "cert.trusted and cert.matches",
                "cert.expires_in > 28d and cert.expires_in <= 30d",
                "cert.chain_expires_in == 30d or cert.chain_expires_in < 30d",
                "cert.chain_length == 2",
                "cert.issuer contains 'authority of the tests'",
                &format!("tls.version == '{says}'"),
            ],
        );
        let names = seen.sample.lines.iter().find(|(name, _)| name == "names").unwrap();
        assert_eq!(names.1, "localhost");
    }
}

#[tokio::test]
async fn a_bad_certificate_is_seen_and_says_why() {
    let trouble = |seen: &tocsin::probes::Seen| {
        seen.sample.lines.iter().find(|(name, _)| name == "trusted").unwrap().1.clone()
    };
    let expired = Papers { from_days: -90, until_days: -3, ..Papers::good() };
    let seen = look(&expired, &["not cert.trusted", "cert.matches", "cert.expires_in < -2d"]).await;
    assert_eq!(trouble(&seen), "no: the certificate has expired");
    // The alarm says it too.
    let condition = Condition::parse("cert.trusted", &Kind::Tls.fields()).unwrap();
    let says = "cert.trusted was false, wanted true: the certificate has expired";
    assert_eq!(condition.check(&seen.facts), Finding::Fails(says.to_owned()));
    let near = Papers { until_days: 5, ..Papers::good() };
    look(&near, &["cert.trusted", "cert.expires_in < 14d and cert.expires_in > 3d"]).await;
    let early = Papers { from_days: 2, ..Papers::good() };
    let seen = look(&early, &["not cert.trusted", "cert.expires_in > 14d"]).await;
    assert_eq!(trouble(&seen), "no: the certificate is not valid yet");
    let other = Papers { name: "other.example", ..Papers::good() };
    let seen = look(&other, &["cert.trusted", "not cert.matches"]).await;
    assert_eq!(trouble(&seen), "no: the certificate names another server");
    let both = Papers { name: "other.example", until_days: -3, ..Papers::good() };
    look(&both, &["not cert.trusted", "not cert.matches"]).await;
    let stranger = Papers { signed_by: SignedBy::Stranger, ..Papers::good() };
    let seen = look(&stranger, &["not cert.trusted", "cert.matches"]).await;
    let unvouched = "no: nobody who is trusted here vouches for the certificate: name its authority in `outbound.ca_file`";
    assert_eq!(trouble(&seen), unvouched);
    let own = Papers { signed_by: SignedBy::Itself, ..Papers::good() };
    let seen = look(&own, &["not cert.trusted", "cert.matches", "cert.chain_length == 1"]).await;
    assert_eq!(trouble(&seen), unvouched);
}

#[tokio::test]
async fn another_name_than_the_hosts_can_be_asked_for() {
    let server = Papers { name: "shop.example", ..Papers::good() }.serve(rustls::ALL_VERSIONS).await;
    let target = json!({
        "kind": "tls", "host": "127.0.0.1", "port": server.address.port(), "server_name": "shop.example",
    });
    let seen = asker(Some(&server.authority)).ask(&question(target.clone())).await;
    holds(&read(target), &seen, &["cert.trusted and cert.matches"]);
}

#[tokio::test]
async fn a_handshake_that_never_ends_costs_its_time_and_its_bound() {
    // The head of a message of 16 MiB, in records of 16 KiB.
    const RECORD: [u8; 5] = [22, 3, 3, 0x40, 0];
    const HELLO: [u8; 4] = [2, 0xff, 0xff, 0xff];
    let endless = super::server::Server::raw("127.0.0.1:0", |mut stream, _| async move {
        let first = [&RECORD[..], &HELLO, &[0; 0x4000 - 4]].concat();
        let more = [&RECORD[..], &[0; 0x4000]].concat();
        let mut result = stream.write_all(&first).await;
        while result.is_ok() {
            result = stream.write_all(&more).await;
        }
    })
    .await;
    let stalling = super::server::Server::raw("127.0.0.1:0", |mut stream, _| async move {
        let mut result = stream.write_all(&RECORD).await;
        while result.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            result = stream.write_all(&[2]).await;
        }
    })
    .await;
    // Everything that is made once is there before it is measured.
    let short = json!({"kind": "tls", "host": "127.0.0.1", "port": stalling.address.port()});
    super::ask_within(Duration::from_millis(300), short).await;
    let before = super::hostile::peak_kb();
    for (server, within) in [(&endless, super::LIMIT), (&stalling, Duration::from_millis(300))] {
        for target in [
            json!({"kind": "tls", "host": "127.0.0.1", "port": server.address.port()}),
            json!({"kind": "http", "url": format!("https://{}/", server.address)}),
        ] {
            let began = std::time::Instant::now();
            let seen = super::ask_within(within, target.clone()).await;
            let failed = seen.failed.unwrap_or_else(|| panic!("{target} was a handshake"));
            assert_eq!((failed.phase, failed.may_be_ours), (tocsin::probes::seen::Phase::Tls, false));
            assert!(began.elapsed() < super::LIMIT, "{target}");
        }
    }
    assert!(super::hostile::peak_kb() - before < 16 * 1024);
}

#[tokio::test]
async fn whoever_speaks_no_tls_or_hangs_up_is_told() {
    let plain = super::server::Server::raw("127.0.0.1:0", |mut stream, _| async move {
        stream.write_all(b"220 mail.example ready\r\n").await.unwrap();
        drain(&mut stream).await;
    })
    .await;
    let target = json!({"kind": "tls", "host": "127.0.0.1", "port": plain.address.port()});
    assert_eq!(failure(&super::ask(target).await), "TLS: the other side does not speak TLS");
    let gone = super::server::Server::raw("127.0.0.1:0", |stream, _| async move {
        drop(stream);
    })
    .await;
    let target = json!({"kind": "tls", "host": "127.0.0.1", "port": gone.address.port()});
    let seen = failure(&super::ask(target).await);
    assert!(seen == "TLS: the connection was closed" || seen == "TLS: connection reset", "{seen}");
    let silent = super::server::Server::raw("127.0.0.1:0", |mut stream, _| async move {
        drain(&mut stream).await;
    })
    .await;
    let target = json!({"kind": "tls", "host": "127.0.0.1", "port": silent.address.port()});
    let seen = super::ask_within(Duration::from_millis(300), target).await;
    assert_eq!(failure(&seen), "TLS: nothing came within 300ms");
}
