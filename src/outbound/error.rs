use std::error::Error as _;

use reqwest::Url;

use super::resolve::NoAddress;

/// Why a call brought no answer. Texts name the target's origin, never its path: paths hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    BadUrl(&'static str),
    #[error("{0}")]
    NoAddress(NoAddress),
    #[error("{origin} does not take connections: {reason}")]
    Connect { origin: String, reason: String },
    #[error("{origin} has no certificate that can be trusted: {reason}")]
    Certificate { origin: String, reason: String },
    #[error("{origin} did not answer in time")]
    TimedOut { origin: String },
    #[error("the connection to {origin} broke: {reason}")]
    Broken { origin: String, reason: String },
}

impl Error {
    /// Whether the same call can never succeed until somebody changes its target.
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::BadUrl(_) | Self::NoAddress(NoAddress::Forbidden { .. }) => true,
            Self::NoAddress(NoAddress::Unknown { .. } | NoAddress::TimedOut)
            | Self::Connect { .. }
            | Self::Certificate { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. } => false,
        }
    }

    pub(super) fn from_reqwest(error: &reqwest::Error, url: &Url) -> Self {
        let origin = masked(url);
        let mut cause = error.source();
        let mut innermost = String::new();
        while let Some(next) = cause {
            if let Some(no_address) = next.downcast_ref::<NoAddress>() {
                return Self::NoAddress(no_address.clone());
            }
            if let Some(reason) = certificate_trouble(next) {
                return Self::Certificate { origin, reason };
            }
            innermost = next.to_string();
            cause = next.source();
        }
        if error.is_timeout() {
            Self::TimedOut { origin }
        } else if error.is_connect() {
            Self::Connect { origin, reason: innermost }
        } else {
            Self::Broken { origin, reason: innermost }
        }
    }
}

/// rustls' complaint, which standard I/O errors wrap, some twice, and hide from `source`.
fn certificate_trouble(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(trouble)) = error.downcast_ref() {
        return Some(trouble.to_string());
    }
    certificate_trouble(error.downcast_ref::<std::io::Error>()?.get_ref()?)
}

/// `https://hooks.example.com/…`: enough to know whom, too little to call it.
pub(super) fn masked(url: &Url) -> String {
    format!("{}/…", url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_certificate_is_named_however_deep_it_is_wrapped() {
        let trouble = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let once = io::Error::new(io::ErrorKind::InvalidData, trouble);
        assert!(certificate_trouble(&once).is_some());
        assert!(certificate_trouble(&io::Error::other(once)).is_some());
        assert_eq!(certificate_trouble(&io::Error::other("no")), None);
    }
}
