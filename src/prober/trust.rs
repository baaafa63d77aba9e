//! Which certificates are trusted, and what a server showed.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::base::Timestamp;
use crate::outbound::{TlsError, trusted_roots};
use crate::probes::condition::{Facts, Unit, Value};

/// Who vouches for servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

/// What a server showed, and what was thought of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// Why the chain would not be taken; `None`: it is trusted and names the server.
    pub(super) distrusted: Option<String>,
    is_other_name: bool,
    chain_length: usize,
    expires_in_s: Option<f64>,
    issuer: Option<String>,
    subject: Option<String>,
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
        Ok(Self { verifier, provider })
    }

    /// A connector for one handshake, and who watched it.
    pub(super) fn connector(&self) -> (TlsConnector, Arc<Watcher>) {
        let watcher = Arc::new(Watcher { verifier: Arc::clone(&self.verifier), seen: Mutex::default() });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(rustls::ALL_VERSIONS);
        // Only a provider without a cipher for these versions is refused, and ring has them.
        let builder = builder.unwrap_or_else(|_| ClientConfig::builder());
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Watcher>::clone(&watcher);
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        (TlsConnector::from(Arc::new(config)), watcher)
    }
}

/// Lets every chain through and remembers what it thinks of it: what an expired certificate says is wanted too. Whoever
/// asks refuses afterwards, before anything is said over the connection.
#[derive(Debug)]
pub(super) struct Watcher {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Error>>,
}

impl Watcher {
    pub(super) fn shown(&self, stream: &TlsStream<TcpStream>, now: Timestamp) -> Shown {
        let connection = stream.get_ref().1;
        let chain = connection.peer_certificates().unwrap_or_default();
        let first = chain.first().and_then(|der| Certificate::from_der(der).ok());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = first.as_ref().map(|certificate| &certificate.tbs_certificate);
        Shown {
            is_other_name: seen.as_ref().is_some_and(is_other_name),
            distrusted: seen.map(|error| distrust(&error)),
            chain_length: chain.len(),
            expires_in_s: first.map(|first| {
                let until = first.validity.not_after.to_unix_duration().as_secs_f64();
                #[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
                let now = now.as_secs() as f64;
                until - now
            }),
            issuer: first.map(|first| first.issuer.to_string()),
            subject: first.map(|first| first.subject.to_string()),
            version: connection.protocol_version().and_then(|version| version.as_str()),
        }
    }
}

impl Shown {
    /// In one line.
    pub(super) fn describe(&self) -> String {
        let subject = self.subject.as_deref().unwrap_or("no certificate that can be read");
        format!("{} {subject}", self.version.unwrap_or("TLS"))
    }

    /// As conditions ask for it.
    pub(super) fn state(&self, facts: &mut Facts) {
        if let Some(seconds) = self.expires_in_s {
            facts.set("cert.expires_in", Value::Number(seconds, Unit::Seconds));
        }
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        for (field, value) in [("cert.issuer", text(&self.issuer)), ("cert.subject", text(&self.subject))] {
            if let Some(value) = value {
                facts.set(field, value);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a chain has a few certificates")]
        let length = self.chain_length as f64;
        facts.set("cert.chain_length", Value::Number(length, Unit::Plain));
        facts.set("cert.trusted", Value::Flag(self.distrusted.is_none() || self.is_other_name));
        facts.set("cert.matches", Value::Flag(!self.is_other_name));
        if let Some(version) = self.version {
            facts.set("tls.version", Value::Text(version.replace('_', ".")));
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
        Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "nobody who is trusted here vouches for the certificate".to_owned()
        }
        error if is_other_name(error) => "the certificate names another server".to_owned(),
        other => other.to_string(),
    }
}

impl ServerCertVerifier for Watcher {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = verdict.err();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
