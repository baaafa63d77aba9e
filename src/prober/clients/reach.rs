//! How far a question may go.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::Network;
use crate::outbound::{self, AddressClass, classify};
use crate::probes::Owner;
use crate::probes::definition::Invalid;
use crate::probes::seen::Failed;
use crate::probes::target::Target;

/// Which addresses may be dialled.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Also this machine and private networks: its target was named by a file, the environment or a flag.
    Private,
    /// The public internet, and the networks that the configuration opens to the page.
    Public(Arc<[Network]>),
}

impl Reach {
    /// Whoever may edit files on this machine may look at it; whoever may only use the page may not.
    pub fn of(owner: Owner, opened: &Arc<[Network]>) -> Self {
        match owner {
            Owner::Page => Self::Public(Arc::clone(opened)),
            Owner::File => Self::Private,
        }
    }

    /// Whether an address may be dialled. Link-local and metadata addresses never.
    pub fn permits(&self, address: IpAddr) -> bool {
        match (classify(address), self) {
            (AddressClass::Never, _) => false,
            (AddressClass::Public, _) | (_, Self::Private) => true,
            (AddressClass::Loopback | AddressClass::Private, Self::Public(opened)) => {
                opened.iter().any(|network| network.contains(address))
            }
        }
    }

    /// Refuses a target at save that no run could reach: an address, in any spelling, or a name of this machine. Any
    /// other name is judged whenever it is dialled.
    ///
    /// # Errors
    /// Names the field and what can be done.
    pub fn check(&self, target: &Target) -> Result<(), Invalid> {
        let Some((field, host)) = target.host() else { return Ok(()) };
        match outbound::literal(&host) {
            Some(address) if !self.permits(address) => {
                Err(Invalid::Field { field, reason: forbidden(&host, address) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Those of `found` that may be dialled.
    pub(super) fn keep(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failed> {
        let first = found.first().map(SocketAddr::ip);
        let kept: Vec<SocketAddr> = found.into_iter().filter(|a| self.permits(a.ip())).collect();
        match first {
            Some(address) if kept.is_empty() => Err(Failed::setup(forbidden(host, address))),
            Some(_) | None => Ok(kept),
        }
    }
}

fn forbidden(host: &str, address: IpAddr) -> String {
    let subject =
        if host.parse() == Ok(address) { host.to_owned() } else { format!("{host} is {address}, which") };
    match classify(address) {
        AddressClass::Never => {
            format!("{subject} is a link-local, metadata or reserved address: no probe may ask there")
        }
        AddressClass::Loopback | AddressClass::Private | AddressClass::Public => format!(
            "{subject} is in a private network, where a probe made on the page may not look: open the network with `probes.private_targets`, or define the probe in a file"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(reach: &Reach, target: serde_json::Value) -> Option<String> {
        reach.check(&serde_json::from_value(target).unwrap()).err().map(|invalid| invalid.to_string())
    }

    #[test]
    fn a_private_target_is_refused_at_save_in_every_spelling() {
        let page = Reach::Public(Arc::new([]));
        for host in
            ["127.0.0.1", "localhost", "LOCALHOST.", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "10.0.0.1"]
        {
            for target in [
                json!({"kind": "http", "url": format!("http://{host}:8080/")}),
                json!({"kind": "tcp", "host": host, "port": 1}),
                json!({"kind": "tls", "host": host}),
                json!({"kind": "dns", "name": "example.com", "server": host}),
                json!({"kind": "smtp", "host": host}),
                json!({"kind": "redis", "url": format!("redis://:{{{{key}}}}@{host}/0")}),
                json!({"kind": "postgres", "url": format!("postgres://a:b@{host}:5432/x")}),
            ] {
                let said = checked(&page, target.clone()).unwrap_or_else(|| panic!("{target} was taken"));
                assert!(said.contains("`probes.private_targets`"), "{said}");
                assert_eq!(checked(&Reach::Private, target.clone()), None, "{target}");
            }
        }
    }

    #[test]
    fn of_a_names_addresses_only_those_that_may_be_dialled_are_kept() {
        let found = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443)).collect()
        };
        let mixed = found(&[
            "10.0.0.1",
            "8.8.8.8",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2606:4700::1111",
        ]);
        let page = Reach::Public(Arc::new([]));
        assert_eq!(
            page.keep("mixed.example", mixed.clone()).unwrap(),
            found(&["8.8.8.8", "2606:4700::1111"])
        );
        assert_eq!(
            Reach::Private.keep("mixed.example", mixed).unwrap(),
            found(&["10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "2606:4700::1111"])
        );
        let failed = page.keep("inside.example", found(&["10.0.0.1", "::1"])).unwrap_err();
        assert!(failed.reason.starts_with("inside.example is 10.0.0.1, which is in a private network"));
        assert!(!failed.may_be_ours);
    }

    #[test]
    fn metadata_is_refused_from_everywhere_and_opened_networks_are_open() {
        for host in ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0xa9fea9fe"] {
            let target = json!({"kind": "http", "url": format!("http://{host}/")});
            let said = checked(&Reach::Private, target).unwrap();
            assert!(said.starts_with("url: ") && said.ends_with("no probe may ask there"), "{said}");
        }
        let opened =
            Reach::Public(Arc::new(["10.0.0.0/8".parse().unwrap(), "169.254.0.0/16".parse().unwrap()]));
        assert_eq!(checked(&opened, json!({"kind": "tcp", "host": "10.1.2.3", "port": 1})), None);
        assert!(checked(&opened, json!({"kind": "tcp", "host": "169.254.169.254", "port": 1})).is_some());
        assert!(checked(&opened, json!({"kind": "tcp", "host": "127.0.0.1", "port": 1})).is_some());
        assert_eq!(checked(&opened, json!({"kind": "disk"})), None);
        assert_eq!(checked(&opened, json!({"kind": "http", "url": "https://example.com/"})), None);
    }
}
