//! Targets that are what a name resolves to.

use std::net::IpAddr;

use super::{host, port, refused};
use crate::probes::definition::Invalid;
use crate::probes::secrets::with_stand_ins;
use crate::probes::target::{Dns, host_and_port};

const RECORDS: [&str; 10] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];

pub(super) fn check(target: &Dns) -> Result<(), Invalid> {
    host("name", &with_stand_ins(&target.name))?;
    let record = target.record.as_str();
    if !RECORDS.contains(&record) {
        return Err(refused("record", format!("use one of {}, in capitals", RECORDS.join(", "))));
    }
    let is_address = target.name.parse::<IpAddr>().is_ok();
    if is_address && record != "PTR" {
        return Err(refused(
            "record",
            "an address has names (PTR) and no other records: ask for PTR, or for a name",
        ));
    }
    let Some(server) = &target.server else { return Ok(()) };
    let server = with_stand_ins(server);
    let Some((name, number)) = host_and_port(&server, 53) else {
        return Err(refused(
            "server",
            "write a name or an address, and a port after a colon where it is not 53",
        ));
    };
    host("server", name)?;
    port("server", number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(target: Value) -> Option<String> {
        check(&serde_json::from_value(target).unwrap()).err().map(|invalid| invalid.to_string())
    }

    #[test]
    fn names_records_and_servers_are_checked() {
        for target in [
            json!({"name": "example.com"}),
            json!({"name": "_dmarc.example.com", "record": "TXT", "server": "1.1.1.1"}),
            json!({"name": "192.0.2.1", "record": "PTR", "server": "[2606:4700::1111]:5353"}),
            json!({"name": "x.example", "server": "2606:4700::1111"}),
            json!({"name": "x.example", "server": "ns.example:53"}),
        ] {
            assert_eq!(said(target.clone()), None, "{target}");
        }
        for (target, says) in [
            (json!({"name": ""}), "name: write"),
            (json!({"name": "a b"}), "name: “a b”"),
            (json!({"name": "x.example", "record": "ANY"}), "record: use one of"),
            (json!({"name": "192.0.2.1"}), "record: an address has"),
            (json!({"name": "x.example", "server": "ns.example:99999"}), "server: write"),
            (json!({"name": "x.example", "server": "ns.example:0"}), "server: use a port"),
            (json!({"name": "x.example", "server": "a/b"}), "server: “a/b”"),
        ] {
            let told = said(target.clone()).unwrap_or_else(|| panic!("{target} was taken"));
            assert!(told.starts_with(says), "{target}: {told}");
        }
    }
}
