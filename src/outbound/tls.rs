//! TLS for outgoing calls: rustls with ring, the Mozilla roots, and one optional file of further authorities.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the file of further certificate authorities holds no readable PEM certificate")]
    BadAuthorities,
    #[error("TLS could not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Makes ring the process's provider, so that every library agrees on one. The first call counts.
pub fn install_crypto_provider() {
    // A second call finds a provider in place and is told so; that is the state wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Whether `pem` is what further authorities can be read from.
///
/// # Errors
/// [`TlsError::BadAuthorities`].
pub fn check_authorities(pem: &[u8]) -> Result<(), TlsError> {
    client_config(Some(pem)).map(drop)
}

/// The Mozilla roots, and those in `authorities`, which is PEM text.
///
/// # Errors
/// [`TlsError::BadAuthorities`].
pub fn trusted_roots(authorities: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = authorities {
        let further = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsError::BadAuthorities)?;
        let (added, _) = roots.add_parsable_certificates(further);
        if added == 0 {
            return Err(TlsError::BadAuthorities);
        }
    }
    Ok(roots)
}

pub(super) fn client_config(authorities: Option<&[u8]>) -> Result<ClientConfig, TlsError> {
    let roots = trusted_roots(authorities)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        install_crypto_provider();
        install_crypto_provider();
        assert!(client_config(None).is_ok());
        for pem in
            [b"".as_slice(), b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(matches!(check_authorities(pem), Err(TlsError::BadAuthorities)));
        }
    }
}
