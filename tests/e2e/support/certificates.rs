//! An authority of one's own, and a certificate for `localhost` that it issued.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// Texts in PEM.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificates {
    /// For the name `localhost` alone: a server that is asked by its address shows a certificate for another name.
    pub(crate) fn for_localhost() -> Certificates {
        Certificates::issued(&certificate_of_localhost())
    }

    /// One that was good until a few years ago.
    pub(crate) fn expired() -> Certificates {
        let mut parameters = certificate_of_localhost();
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
        Certificates::issued(&parameters)
    }

    /// One that nobody else vouches for.
    pub(crate) fn self_signed() -> Certificates {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = certificate_of_localhost().self_signed(&key).expect("it can be signed").pem();
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

fn certificate_of_localhost() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned()]).expect("the name is good")
}
