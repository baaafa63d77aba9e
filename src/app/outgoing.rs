//! What goes out: the sender with the authorities that it trusts, and the links in its messages.

use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::parts::{BuildError, base_url};
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy, TraceKey, Uid};
use crate::config::{BaseUrl, Config};
use crate::incidents::Incidents;
use crate::notify::channel::Transport;
use crate::notify::outbox::{Flights, LinkMaker, Outbox};
use crate::notify::verdict::DeliveryPolicy;
use crate::notify::worker::Worker;
use crate::outbound;
use crate::store::Store;

/// What sends: mail and everything else each with the certificate authorities of the operator's own for it, beside the
/// public ones.
pub(super) fn worker(config: &Config, clock: &Clock, entropy: &Entropy) -> Result<Worker, BuildError> {
    let Authorities { mail, others } = Authorities::read(config)?;
    let options = outbound::Options { authorities: others, ..outbound::Options::default() };
    let http = outbound::Client::new(&options).map_err(|error| BuildError::Outgoing(error.to_string()))?;
    Ok(Worker {
        transport: Transport { http, authorities: mail },
        policy: DeliveryPolicy::default(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    })
}

/// What carries messages to their channels.
pub(super) fn outbox(
    (store, incidents): (&Store, &Incidents),
    config: &Config,
    (clock, entropy): (&Clock, &Entropy),
    (sealer, sealing_key): (&Sealer, &[u8; 32]),
    boot: Uid,
) -> Result<Outbox, BuildError> {
    Ok(Outbox {
        store: store.clone(),
        incidents: incidents.clone(),
        worker: worker(config, clock, entropy)?,
        sealer: sealer.clone(),
        links: link_maker(&base_url(config), sealing_key)?,
        flights: Flights::new(boot),
    })
}

/// PEM text of the authorities of the operator's own.
#[derive(Debug, PartialEq, Eq)]
struct Authorities {
    mail: Option<Vec<u8>>,
    /// For webhooks and Slack.
    others: Option<Vec<u8>>,
}

impl Authorities {
    fn read(config: &Config) -> Result<Self, BuildError> {
        let mail = config.smtp.as_ref().and_then(|smtp| smtp.ca_file.as_deref());
        Ok(Self {
            mail: mail.map(|file| read_authorities("smtp.ca_file", file)).transpose()?,
            others: config
                .outbound
                .ca_file
                .as_deref()
                .map(|file| read_authorities("outbound.ca_file", file))
                .transpose()?,
        })
    }
}

/// The authorities of the operator's own, for everything but mail.
pub(super) fn read_others(config: &Config) -> Result<Option<Vec<u8>>, BuildError> {
    Ok(Authorities::read(config)?.others)
}

fn read_authorities(key: &str, file: &Path) -> Result<Vec<u8>, BuildError> {
    let refuse =
        |error: &dyn std::fmt::Display| BuildError::Outgoing(format!("{key} {}: {error}", file.display()));
    let pem = std::fs::read(file).map_err(|error| refuse(&error))?;
    outbound::check_authorities(&pem).map_err(|error| refuse(&error))?;
    Ok(pem)
}

pub(super) fn link_maker(base_url: &BaseUrl, sealing_key: &[u8; 32]) -> Result<LinkMaker, BuildError> {
    let parsed = outbound::Url::parse(base_url.as_str());
    let base_url = parsed.map_err(|error| BuildError::Outgoing(error.to_string()))?;
    Ok(LinkMaker { base_url, key: derive_key(sealing_key, b"acknowledge links") })
}

/// What makes the ids of the traces that lead back to deliveries.
pub(super) fn trace_key(sealing_key: &[u8; 32]) -> TraceKey {
    TraceKey::new(derive_key(sealing_key, b"webhook traces"))
}

/// One key in a file serves several purposes without any of them knowing the others' (HMAC-SHA256 as a KDF).
fn derive_key(key: &[u8; 32], purpose: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return *key };
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Outbound, Smtp, SmtpTls};

    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBdTCCARugAwIBAgIURNBzNvam6Oc7dan2uglHeNJ90vEwCgYIKoZIzj0EAwIw\n\
        DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjExNzU1MDNaGA8yMTI2MTAyODE3NTUw\n\
        M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLMl\n\
        IBivXTeResRt68rHD2OToRJ9AWE+0OqHY31Vi1fKqMCb0J7aiVx7sLSPiQh7bITk\n\
        NMe3o2FEeBaRAZ0OUdWjUzBRMB0GA1UdDgQWBBS1IDYeWpKSe9z5ygDBqlwlrGta\n\
        GDAfBgNVHSMEGDAWgBS1IDYeWpKSe9z5ygDBqlwlrGtaGDAPBgNVHRMBAf8EBTAD\n\
        AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDcLUicIQig8rjeGRpeCFN5yoKcMmtpsqE0\n\
        QYhcxZGzfQIgUkL31eJTUh9QwcuX2krAL6oTssYvdwFIuKkRpZJIOlM=\n\
        -----END CERTIFICATE-----\n";

    fn trusting(mail: Option<&Path>, others: Option<&Path>) -> Config {
        let smtp = Smtp {
            host: "mail.example.com".to_owned(),
            port: 587,
            credentials: None,
            tls: SmtpTls::StartTls,
            from: "alarm@example.com".to_owned(),
            ca_file: mail.map(Path::to_owned),
        };
        let outbound = Outbound { ca_file: others.map(Path::to_owned) };
        Config { smtp: Some(smtp), outbound, ..Config::defaults().unwrap() }
    }

    #[test]
    fn the_authority_of_the_mail_relay_is_trusted_for_mail_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [good, bad] = ["good.pem", "bad.pem"].map(|name| folder.path().join(name));
        std::fs::write(&good, AUTHORITY).unwrap();
        std::fs::write(&bad, "no certificate").unwrap();
        let pem = || Some(AUTHORITY.as_bytes().to_vec());
        let of_mail = Authorities::read(&trusting(Some(&good), None)).unwrap();
        assert_eq!(of_mail, Authorities { mail: pem(), others: None });
        let of_others = Authorities::read(&trusting(None, Some(&good))).unwrap();
        assert_eq!(of_others, Authorities { mail: None, others: pem() });
        for (config, key) in
            [(trusting(Some(&bad), None), "smtp.ca_file"), (trusting(None, Some(&bad)), "outbound.ca_file")]
        {
            let error = Authorities::read(&config).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("bad.pem"), "{error}");
        }
    }
}
