//! An authority of one's own, and a certificate for `localhost` that it issued.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tocsin::base::Clock;

/// Texts in PEM.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificates {
    /// For the name `localhost` alone: a server that is asked by its address shows a certificate for another name.
    pub(crate) fn for_localhost() -> Certificates {
        Certificates::for_localhost_until(90)
    }

    /// One that ended yesterday.
    pub(crate) fn expired() -> Certificates {
        Certificates::for_localhost_until(-1)
    }

    /// One that ends in so many days, or ended.
    pub(crate) fn for_localhost_until(days: i64) -> Certificates {
        Certificates::issued(&certificate_of_localhost(days))
    }

    /// One that nobody else vouches for.
    pub(crate) fn self_signed() -> Certificates {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = certificate_of_localhost(90).self_signed(&key).expect("it can be signed").pem();
        Certificates { authority: certificate.clone(), certificate, key: key.serialize_pem() }
    }

    fn issued(of: &CertificateParams) -> Certificates {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no name is a bad one");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key can be made");
        let authority = parameters.self_signed(&authority_key).expect("it can be signed");
        let issuer = Issuer::new(parameters, authority_key);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = of.signed_by(&key, &issuer).expect("it can be signed");
        Certificates { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// As `ca.pem`, `cert.pem` and `key.pem`.
    pub(crate) fn write_to(&self, folder: &Path) {
        for (name, text) in
            [("ca.pem", &self.authority), ("cert.pem", &self.certificate), ("key.pem", &self.key)]
        {
            std::fs::write(folder.join(name), text).expect("a temporary folder can be filled");
        }
    }
}

const DAY_S: i64 = 86_400;

fn certificate_of_localhost(days: i64) -> CertificateParams {
    let mut wanted = CertificateParams::new(vec!["localhost".to_owned()]).expect("the name is good");
    let now = Clock::system().now().as_secs();
    wanted.not_before = at(now - 100 * DAY_S).into();
    wanted.not_after = at(now + days * DAY_S).into();
    wanted
}

fn at(second: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second.unsigned_abs())
}
