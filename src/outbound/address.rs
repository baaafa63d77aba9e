//! Which addresses may be dialled. Sources: the IANA special-purpose registries (RFC 6890 and updates) and the
//! metadata services of AWS, Azure, Google, Alibaba and Oracle.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a call may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Only the public internet: for targets that came from the page or the API.
    Public,
    /// Also this machine and private networks: for targets that a file, the environment or a flag names.
    Private,
}

/// What an address is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    Public,
    /// This machine.
    Loopback,
    /// A private network, carrier-grade NAT, or a test bench.
    Private,
    /// Link-local, metadata services, multicast, documentation, tunnels and other addresses that no target has.
    Never,
}

impl AddressClass {
    pub const fn is_within(self, reach: Reach) -> bool {
        match (self, reach) {
            (Self::Public, Reach::Public | Reach::Private)
            | (Self::Loopback | Self::Private, Reach::Private) => true,
            (Self::Loopback | Self::Private, Reach::Public) | (Self::Never, _) => false,
        }
    }
}

/// Judges an address; an IPv4 address inside an IPv6 one counts as the IPv4 address.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// `(network, prefix length, class)`; the first match counts, no match is public.
const V4: &[([u8; 4], u32, AddressClass)] = &[
    // Metadata services inside wider ranges: Alibaba, Oracle, Azure's wire server.
    ([100, 100, 100, 200], 32, AddressClass::Never),
    ([168, 63, 129, 16], 32, AddressClass::Never),
    ([0, 0, 0, 0], 8, AddressClass::Never),
    ([10, 0, 0, 0], 8, AddressClass::Private),
    ([100, 64, 0, 0], 10, AddressClass::Private),
    ([127, 0, 0, 0], 8, AddressClass::Loopback),
    ([169, 254, 0, 0], 16, AddressClass::Never),
    ([172, 16, 0, 0], 12, AddressClass::Private),
    ([192, 0, 0, 0], 24, AddressClass::Never),
    ([192, 0, 2, 0], 24, AddressClass::Never),
    ([192, 88, 99, 0], 24, AddressClass::Never),
    ([192, 168, 0, 0], 16, AddressClass::Private),
    ([198, 18, 0, 0], 15, AddressClass::Private),
    ([198, 51, 100, 0], 24, AddressClass::Never),
    ([203, 0, 113, 0], 24, AddressClass::Never),
    ([224, 0, 0, 0], 3, AddressClass::Never),
];

/// As [`V4`], by the first 64 bits; [`embedded_v4`] is asked first.
const V6: &[([u16; 4], u32, AddressClass)] = &[
    // Metadata services of AWS and Google inside the unique-local range.
    ([0xfd00, 0x0ec2, 0, 0], 64, AddressClass::Never),
    ([0xfd20, 0x00ce, 0, 0], 64, AddressClass::Never),
    ([0, 0, 0, 0], 8, AddressClass::Never),
    ([0x0064, 0xff9b, 1, 0], 48, AddressClass::Never),
    ([0x0100, 0, 0, 0], 64, AddressClass::Never),
    // Protocol assignments, Teredo among them; documentation; 6to4; segment routing.
    ([0x2001, 0, 0, 0], 23, AddressClass::Never),
    ([0x2001, 0x0db8, 0, 0], 32, AddressClass::Never),
    ([0x2002, 0, 0, 0], 16, AddressClass::Never),
    ([0x3fff, 0, 0, 0], 20, AddressClass::Never),
    ([0x5f00, 0, 0, 0], 16, AddressClass::Never),
    ([0xfc00, 0, 0, 0], 7, AddressClass::Private),
    ([0xfe80, 0, 0, 0], 10, AddressClass::Never),
    ([0xfec0, 0, 0, 0], 10, AddressClass::Never),
    ([0xff00, 0, 0, 0], 8, AddressClass::Never),
];

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let bits = u32::from(address);
    V4.iter()
        .find(|(network, prefix, _)| (bits ^ u32::from(Ipv4Addr::from(*network))) >> (32 - prefix) == 0)
        .map_or(AddressClass::Public, |(_, _, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    if let Some(v4) = embedded_v4(address) {
        return classify_v4(v4);
    }
    let [a, b, c, d, ..] = address.segments();
    V6.iter()
        .find(|(network, prefix, _)| (joined([a, b, c, d]) ^ joined(*network)) >> (64 - prefix) == 0)
        .map_or(AddressClass::Public, |(_, _, class)| *class)
}

/// The IPv4 address that an IPv4-mapped, NAT64 (RFC 6052) or ISATAP (RFC 5214) address leads to. Tunnels that
/// no operating system dials any more (6to4, Teredo, IPv4-compatible) are refused by the table instead.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let segments = address.segments();
    let nat64 = segments[..6] == [0x0064, 0xff9b, 0, 0, 0, 0];
    let isatap = matches!(segments[4], 0 | 0x0200) && segments[5] == 0x5efe;
    let [.., high, low] = segments;
    (nat64 || isatap).then(|| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

fn joined(segments: [u16; 4]) -> u64 {
    segments.iter().fold(0, |bits, segment| (bits << 16) | u64::from(*segment))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().unwrap())
    }

    #[test]
    fn ordinary_addresses_are_public() {
        for text in ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "192.169.0.1"] {
            assert_eq!(class(text), AddressClass::Public, "{text}");
        }
        for text in ["2606:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
            assert_eq!(class(text), AddressClass::Public, "{text}");
        }
    }

    #[test]
    fn this_machine_and_private_networks_are_told_apart() {
        for text in ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert_eq!(class(text), AddressClass::Loopback, "{text}");
        }
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "fc00::1",
            "fd12:3456::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2606:4700::5efe:a00:1",
        ] {
            assert_eq!(class(text), AddressClass::Private, "{text}");
        }
    }

    #[test]
    fn metadata_and_impossible_targets_are_never_dialled() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "2002:0808:0808::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::",
            "::7f00:1",
            "::ffff:0:a9fe:a9fe",
            "64:ff9b:1::1",
            "2001:db8::1",
            "fe80::5efe:a9fe:a9fe",
        ] {
            assert_eq!(class(text), AddressClass::Never, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_what_it_maps(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(classify(v4.to_ipv6_mapped().into()), classify(v4.into()));
        }

        #[test]
        fn a_longer_reach_never_forbids(bits: u128) {
            let class = classify(Ipv6Addr::from(bits).into());
            prop_assert!(!class.is_within(Reach::Public) || class.is_within(Reach::Private));
        }
    }
}
