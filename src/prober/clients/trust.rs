//! Which certificates are trusted, and what a server showed.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::{Certificate, TbsCertificate};

use crate::base::Timestamp;
use crate::outbound::{TlsError, trusted_roots};
use crate::probes::condition::{Facts, Unit, Value};
use crate::probes::redactor::visible_line;

/// Names of a certificate that a sample shows; some carry hundreds.
const NAMES_SHOWN_MAX: usize = 10;

/// Who vouches for servers. Cheap to clone; clones share the settings of all handshakes.
#[derive(Clone, Debug)]
pub struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    config: Arc<ClientConfig>,
    http_config: Arc<ClientConfig>,
}

/// What a server showed, and what was thought of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// Why the chain would not be taken; `None`: it is trusted and names the server.
    pub(super) distrusted: Option<String>,
    is_trusted: bool,
    is_own_name: bool,
    chain_length: usize,
    expires_at: Option<Duration>,
    now: Duration,
    issuer: Option<String>,
    subject: Option<String>,
    names: Vec<String>,
    version: Option<&'static str>,
}

impl Trust {
    /// Trusts the Mozilla roots, and those in `authorities`, which is PEM text.
    ///
    /// # Errors
    /// Where that is none.
    pub fn new(authorities: Option<&[u8]>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(trusted_roots(authorities)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| TlsError::Setup(Error::General(error.to_string())))?;
        let config = lenient_config(provider, &verifier)?;
        let mut http_config = config.clone();
        http_config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { verifier, config: Arc::new(config), http_config: Arc::new(http_config) })
    }

    /// The same trust for handshakes that offer HTTP/1.1 by name: some servers would choose HTTP/2, or refuse.
    pub(super) fn for_http(&self) -> Self {
        Self { config: Arc::clone(&self.http_config), ..self.clone() }
    }

    /// Takes every chain, so that what an expired certificate says can be seen too. Whoever dials has it judged before
    /// anything is said over the connection.
    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }

    /// What the server of a finished handshake showed, and whether it is trusted to be `name`.
    pub(super) fn judge(
        &self,
        connection: &ClientConnection,
        name: &ServerName<'_>,
        now: Timestamp,
    ) -> Shown {
        let chain = connection.peer_certificates().unwrap_or_default();
        let now = Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or(0));
        let certificate = chain.first().and_then(|der| Certificate::from_der(der).ok());
        let first = certificate.as_ref().map(|certificate| &certificate.tbs_certificate);
        let verdict = self.verify(chain, name, now);
        let is_own_name = chain
            .first()
            .and_then(|der| ParsedCertificate::try_from(der).ok())
            .is_some_and(|parsed| verify_server_name(&parsed, name).is_ok());
        Shown {
            is_trusted: verdict.as_ref().map_or_else(is_other_name, |()| true),
            distrusted: verdict.err().map(|error| distrust(&error)),
            is_own_name,
            chain_length: chain.len(),
            expires_at: first.map(|first| first.validity.not_after.to_unix_duration()),
            now,
            issuer: first.map(|first| visible_line(&first.issuer.to_string())),
            subject: first.map(|first| visible_line(&first.subject.to_string())),
            names: first.map(names).unwrap_or_default(),
            version: connection.protocol_version().and_then(|version| version.as_str()),
        }
    }

    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: Duration,
    ) -> Result<(), Error> {
        let (first, others) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let now = UnixTime::since_unix_epoch(now);
        self.verifier.verify_server_cert(first, others, name, &[], now).map(drop)
    }
}

/// Settings of all handshakes. Each is made from the beginning: one that goes on with an old session shows no
/// certificates and tells nothing about how long a new visitor waits.
fn lenient_config(
    provider: Arc<CryptoProvider>,
    verifier: &Arc<WebPkiServerVerifier>,
) -> Result<ClientConfig, TlsError> {
    let lenient = Arc::new(Lenient(Arc::clone(verifier)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(lenient)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The names that a certificate is for.
fn names(certificate: &TbsCertificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(all)))) = certificate.get::<SubjectAltName>() else { return Vec::new() };
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(visible_line(name.as_str())),
        GeneralName::IpAddress(bytes) => {
            let octets = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
            let v6 = <[u8; 16]>::try_from(octets).map(|octets| std::net::IpAddr::from(octets).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    };
    all.iter().filter_map(name).take(NAMES_SHOWN_MAX).collect()
}

/// Until the first of all shown certificates expires, in seconds; negative after it. `None` where one cannot be read.
pub(super) fn chain_expires_in(connection: &ClientConnection, now: Timestamp) -> Option<f64> {
    let chain = connection.peer_certificates()?;
    let end = |der: &CertificateDer<'_>| {
        let certificate = Certificate::from_der(der).ok()?;
        Some(certificate.tbs_certificate.validity.not_after.to_unix_duration())
    };
    let first = chain.iter().map(end).collect::<Option<Vec<_>>>()?.into_iter().min()?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
    let now = now.as_secs() as f64;
    Some(first.as_secs_f64() - now)
}

impl Shown {
    /// In one line.
    pub(super) fn describe(&self) -> String {
        let subject = self.subject.as_deref().unwrap_or("no certificate that can be read");
        format!("{} {subject}", self.version().unwrap_or_else(|| "TLS".to_owned()))
    }

    /// As a sample shows it.
    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let trusted = match &self.distrusted {
            Some(reason) => format!("no: {reason}"),
            None => "yes".to_owned(),
        };
        let expires = self.expires_at.map(|at| (Timestamp::EPOCH + at).to_rfc3339());
        let names = (!self.names.is_empty()).then(|| self.names.join(", "));
        [
            ("version", self.version()),
            ("subject", self.subject.clone()),
            ("names", names),
            ("issuer", self.issuer.clone()),
            ("expires", expires),
            ("certificates", Some(self.chain_length.to_string())),
            ("trusted", Some(trusted)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }

    fn version(&self) -> Option<String> {
        self.version.map(|version| version.replace('_', "."))
    }

    /// As conditions ask for it.
    pub(super) fn state(&self, facts: &mut Facts) {
        if let Some(at) = self.expires_at {
            facts.set("cert.expires_in", Value::seconds(at.as_secs_f64() - self.now.as_secs_f64()));
        }
        let texts = [
            ("cert.issuer", self.issuer.clone()),
            ("cert.subject", self.subject.clone()),
            ("tls.version", self.version()),
        ];
        for (field, value) in texts {
            if let Some(value) = value {
                facts.set(field, Value::Text(value));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a chain has a few certificates")]
        let length = self.chain_length as f64;
        facts.set("cert.chain_length", Value::Number(length, Unit::Plain));
        facts.set("cert.trusted", Value::Flag(self.is_trusted));
        facts.set("cert.matches", Value::Flag(self.is_own_name));
        if let (false, Some(reason)) = (self.is_trusted, &self.distrusted) {
            facts.explain("cert.trusted", reason.clone());
        }
        if !self.is_own_name && !self.names.is_empty() {
            facts.explain("cert.matches", format!("it names {}", self.names.join(", ")));
        }
    }
}

const fn is_other_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
                | rustls::CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// Of a chain that leads to nobody who is known here.
pub(super) const UNVOUCHED: &str =
    "nobody who is trusted here vouches for the certificate: name its authority in `outbound.ca_file`";

/// Why a chain is not taken, in words.
fn distrust(error: &Error) -> String {
    use rustls::CertificateError as Bad;
    match error {
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "the certificate has expired".to_owned()
        }
        Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            "the certificate is not valid yet".to_owned()
        }
        Error::InvalidCertificate(Bad::UnknownIssuer) => UNVOUCHED.to_owned(),
        // One that is signed with its own key, as an authority's is.
        Error::InvalidCertificate(Bad::Other(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            UNVOUCHED.to_owned()
        }
        error if is_other_name(error) => "the certificate names another server".to_owned(),
        other => other.to_string(),
    }
}

/// Lets every chain through; the handshake itself must be right.
#[derive(Debug)]
struct Lenient(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
