//! Questions and answers of the DNS, as bytes.

use std::net::IpAddr;
use std::str::FromStr as _;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CAA, MX, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::probes::target::normal_host;

/// Longest answer over UDP that is asked for: it passes every network whole (DNS flag day 2020).
const PAYLOAD_BYTES_MAX: u16 = 1232;
/// Records that are kept of one answer.
const RECORDS_MAX: usize = 200;

/// A question that was, or will be, sent.
#[derive(Clone, Debug)]
pub struct Asked {
    query: Query,
    id: u16,
    bytes: Vec<u8>,
}

/// What a name server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Such as `NOERROR`.
    pub rcode: String,
    /// Records of the kind that was asked for, at most 200, sorted, because servers turn them around. Names end without
    /// a dot.
    pub records: Vec<String>,
    /// The shortest time, in seconds, that one of them or an alias on the way may be kept.
    pub ttl: Option<u32>,
    /// There is more, over TCP.
    pub is_cut: bool,
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Of another question, or of nobody who knows this one.
    Stray,
    /// Of this question, but damaged.
    Unreadable,
}

impl Asked {
    /// A question for the records of `name`; of an address, for its names.
    ///
    /// # Errors
    /// Why it cannot be asked, for people.
    pub fn new(id: u16, name: &str, record: &str) -> Result<Self, String> {
        let unfit = || format!("name: “{name}” is no name that a name server knows");
        let kind =
            RecordType::from_str(record).map_err(|_| format!("record: “{record}” cannot be asked for"))?;
        let mut full = match name.parse::<IpAddr>() {
            Ok(address) => Name::from(address),
            Err(_) => Name::from_ascii(normal_host(name).ok_or_else(unfit)?).map_err(|_| unfit())?,
        };
        full.set_fqdn(true);
        let query = Query::query(full, kind);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_BYTES_MAX);
        message.set_edns(edns);
        let bytes = message.to_vec().map_err(|_| unfit())?;
        Ok(Self { query, id, bytes })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads what came from a name server.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn read(&self, bytes: &[u8]) -> Result<Answer, Unfit> {
        if bytes.get(..2) != Some(&self.id.to_be_bytes()) {
            return Err(Unfit::Stray);
        }
        let message = Message::from_vec(bytes).map_err(|_| Unfit::Unreadable)?;
        let rcode = message.metadata.response_code;
        // A server that did not understand the question need not repeat it.
        let is_mine = match message.queries.as_slice() {
            [] => rcode != ResponseCode::NoError,
            [query] => *query == self.query,
            _ => false,
        };
        if !is_mine || message.metadata.message_type != MessageType::Response {
            return Err(Unfit::Stray);
        }
        let asked_for =
            message.answers.iter().filter(|record| record.record_type() == self.query.query_type());
        let mut records: Vec<String> = asked_for.take(RECORDS_MAX).map(|record| text(&record.data)).collect();
        records.sort_unstable();
        Ok(Answer {
            rcode: rcode_text(rcode),
            records,
            ttl: message.answers.iter().map(|record| record.ttl).min(),
            is_cut: message.metadata.truncation,
        })
    }
}

/// A record as it stands in a zone, without dots at the end of names and quotes around texts.
fn text(data: &RData) -> String {
    match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(other) => name(&other.0),
        RData::NS(server) => name(&server.0),
        RData::PTR(host) => name(&host.0),
        RData::MX(MX { preference, exchange, .. }) => format!("{preference} {}", name(exchange)),
        RData::SRV(SRV { priority, weight, port, target, .. }) => {
            format!("{priority} {weight} {port} {}", name(target))
        }
        RData::SOA(SOA { mname, rname, serial, refresh, retry, expire, minimum, .. }) => {
            format!("{} {} {serial} {refresh} {retry} {expire} {minimum}", name(mname), name(rname))
        }
        RData::TXT(TXT { txt_data, .. }) => String::from_utf8_lossy(&txt_data.concat()).into_owned(),
        RData::CAA(CAA { issuer_critical, tag, value, .. }) => {
            format!("{} {tag} \"{}\"", u8::from(*issuer_critical) << 7, String::from_utf8_lossy(value))
        }
        // None of these can be asked for.
        other => other.to_string(),
    }
}

fn name(name: &Name) -> String {
    let text = name.to_ascii();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(bare) => bare.to_owned(),
    }
}

/// As every tool writes it.
fn rcode_text(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::YXDomain => "YXDOMAIN".to_owned(),
        ResponseCode::YXRRSet => "YXRRSET".to_owned(),
        ResponseCode::NXRRSet => "NXRRSET".to_owned(),
        ResponseCode::NotAuth => "NOTAUTH".to_owned(),
        ResponseCode::NotZone => "NOTZONE".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, CNAME};

    use super::*;

    fn answered(asked: &Asked, change: impl FnOnce(&mut Message)) -> Result<Answer, Unfit> {
        let mut message = Message::response(asked.id, OpCode::Query);
        message.add_query(asked.query.clone());
        change(&mut message);
        asked.read(&message.to_vec().unwrap())
    }

    fn a(octet: u8, ttl: u32) -> Record {
        let name = Name::from_ascii("www.example.com.").unwrap();
        Record::from_rdata(name, ttl, RData::A(A(Ipv4Addr::new(192, 0, 2, octet))))
    }

    #[test]
    fn records_are_texts_in_one_order() {
        let asked = Asked::new(7, "www.example.com", "A").unwrap();
        let answer = answered(&asked, |message| {
            let target = CNAME(Name::from_ascii("x.example.com.").unwrap());
            message.add_answer(Record::from_rdata(asked.query.name().clone(), 60, RData::CNAME(target)));
            message.add_answers([a(9, 300), a(1, 300)]);
        });
        let answer = answer.unwrap();
        assert_eq!(answer.records, ["192.0.2.1", "192.0.2.9"]);
        assert_eq!((answer.rcode.as_str(), answer.ttl, answer.is_cut), ("NOERROR", Some(60), false));
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let asked = Asked::new(7, "www.example.com", "A").unwrap();
        assert_eq!(answered(&asked, |message| message.metadata.id = 8), Err(Unfit::Stray));
        assert_eq!(
            answered(&asked, |message| message.metadata.message_type = MessageType::Query),
            Err(Unfit::Stray)
        );
        assert_eq!(answered(&asked, |message| message.queries.clear()), Err(Unfit::Stray));
        let other = Asked::new(7, "www.example.org", "A").unwrap();
        assert_eq!(answered(&asked, |message| message.queries = vec![other.query]), Err(Unfit::Stray));
        let refused = answered(&asked, |message| {
            message.queries.clear();
            message.metadata.response_code = ResponseCode::Refused;
        });
        assert_eq!(refused.unwrap().rcode, "REFUSED");
        let upper = Asked::new(7, "WWW.example.COM.", "A").unwrap();
        assert!(answered(&asked, |message| message.queries = vec![upper.query]).is_ok());
    }

    #[test]
    fn what_is_damaged_is_no_answer() {
        let asked = Asked::new(7, "www.example.com", "A").unwrap();
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(asked.query.clone());
        message.add_answer(a(1, 5));
        let whole = message.to_vec().unwrap();
        for length in 0..whole.len() {
            let unfit = asked.read(&whole[..length]).unwrap_err();
            assert_eq!(unfit, if length < 2 { Unfit::Stray } else { Unfit::Unreadable });
        }
        // A name that points to itself.
        let looped = [0, 7, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1];
        assert_eq!(asked.read(&looped), Err(Unfit::Unreadable));
    }

    #[test]
    fn names_of_addresses_and_international_names_are_asked_as_servers_know_them() {
        for (name, record, asked_for) in [
            ("192.0.2.1", "PTR", "1.2.0.192.in-addr.arpa."),
            ("bücher.example", "TXT", "xn--bcher-kva.example."),
            ("_dmarc.example.com", "TXT", "_dmarc.example.com."),
        ] {
            assert_eq!(Asked::new(1, name, record).unwrap().query.name().to_ascii(), asked_for);
        }
        assert!(Asked::new(1, "2001:db8::1", "PTR").unwrap().query.name().to_ascii().ends_with(".ip6.arpa."));
        assert!(Asked::new(1, &"a".repeat(64), "A").is_err());
        assert!(Asked::new(1, "x.example", "NONE").is_err());
    }
}
