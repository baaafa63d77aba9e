//! Takes out of a message what changes from one occurrence to the next, and leaves what tells faults apart.
//!
//! One pass over the bytes, no regular expressions. Replacing something that never changes does no harm; leaving
//! in something that does splits an issue; replacing what an operator acts on (503 or 429, SQLSTATE, errno,
//! signal, port, exit code, version) merges two faults. The rules err in this order.

use std::borrow::Cow;

mod dates;
mod numbers;
mod shapes;

use shapes::Word;

/// Of a longer text only the beginning counts, so that a hostile one costs no more.
const BYTES_MAX: usize = 8 * 1024;

/// Replaces values by their kind: `user 7 at 10.0.0.1` becomes `user <int> at <ip>`.
///
/// Kinds: `<email> <url> <hostname> <ip> <mac> <traceparent> <uuid> <sha1> <md5> <hex> <id> <date> <duration>
/// <float> <int>`, and after `=` also `<quoted_str> <bool>`. Text beyond 8 KiB is left out.
pub fn parameterize(text: &str) -> Cow<'_, str> {
    let text = &text[..text.floor_char_boundary(BYTES_MAX)];
    let bytes = text.as_bytes();
    let mut scan = Scan { bytes, host_free_until: 0, place_end: None };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        match scan.step(at) {
            Step::Keep { until } => at = until,
            Step::Replace { from, until, kind } => {
                out.push_str(&text[copied..from.max(copied)]);
                out.push_str(kind);
                copied = until;
                at = until;
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// What the scanner does with the bytes before it. Offsets always lie beside an ASCII byte.
#[derive(Clone, Copy, Debug)]
enum Step {
    Keep { until: usize },
    Replace { from: usize, until: usize, kind: &'static str },
}

struct Scan<'a> {
    bytes: &'a [u8],
    /// Up to here it is known that no address or host name begins: keeps the pass linear.
    host_free_until: usize,
    /// Where the last host or address ended, for the port behind it.
    place_end: Option<usize>,
}

impl Scan<'_> {
    fn step(&mut self, at: usize) -> Step {
        let before = at.checked_sub(1).map_or(b' ', |before| self.bytes[before]);
        match self.bytes[at] {
            b'=' if before != b'=' => shapes::after_equals(self.bytes, at),
            b':' if before != b':' && !before.is_ascii_alphanumeric() => {
                self.place(at, shapes::ipv6(self.bytes, at), "<ip>").unwrap_or(Step::Keep { until: at + 1 })
            }
            byte if byte.is_ascii_alphanumeric() => {
                let word = Word::at(self.bytes, at);
                if before == b'_' { numbers::glued(self.bytes, word) } else { self.word(word) }
            }
            _ => Step::Keep { until: at + 1 },
        }
    }

    fn word(&mut self, word: Word) -> Step {
        let (bytes, at) = (self.bytes, word.start);
        if let Some(until) = shapes::url(bytes, word) {
            return replace(at, until, "<url>");
        }
        if let Some(step) = self.host_or_email(word) {
            return step;
        }
        if word.all_hex {
            if let Some(until) = shapes::traceparent(bytes, at) {
                return replace(at, until, "<traceparent>");
            }
            if let Some(until) = shapes::uuid(bytes, at) {
                return replace(at, until, "<uuid>");
            }
            if let Some(until) = shapes::mac(bytes, at) {
                return replace(at, until, "<mac>");
            }
            if let Some(step) = self.place(at, shapes::ipv6(bytes, at), "<ip>") {
                return step;
            }
        }
        if bytes[at].is_ascii_digit() {
            if let Some(until) = dates::from_digit(bytes, at) {
                return replace(at, until, "<date>");
            }
            if !numbers::follows_version_word(bytes, at)
                && let Some(step) = self.place(at, shapes::ipv4(bytes, at), "<ip>")
            {
                return step;
            }
            if let Some(until) = dates::duration(bytes, at) {
                return replace(at, until, "<duration>");
            }
            let is_port = self.place_end.is_some_and(|end| {
                bytes[end..].starts_with(b":") && end + 1 == at
                    || bytes[end..].starts_with(b"]:") && end + 2 == at
            });
            return numbers::number(bytes, word, is_port);
        }
        if let Some(until) = dates::from_letter(bytes, at) {
            return replace(at, until, "<date>");
        }
        numbers::word(bytes, word)
    }

    fn host_or_email(&mut self, word: Word) -> Option<Step> {
        if word.start < self.host_free_until {
            return None;
        }
        if !matches!(self.bytes.get(word.end), Some(b'.' | b'@' | b'-' | b'_' | b'+' | b'%'))
            && !shapes::is_localhost(&self.bytes[word.start..word.end])
        {
            return None;
        }
        let run_end = shapes::address_run_end(self.bytes, word.start);
        if let Some(until) = shapes::email(self.bytes, word.start, run_end) {
            return Some(replace(word.start, until, "<email>"));
        }
        let host = shapes::hostname(self.bytes, word.start);
        if host.is_none() {
            self.host_free_until = run_end;
        }
        self.place(word.start, host, "<hostname>")
    }

    fn place(&mut self, from: usize, until: Option<usize>, kind: &'static str) -> Option<Step> {
        let until = until?;
        self.place_end = Some(until);
        Some(Step::Replace { from, until, kind })
    }
}

const fn replace(from: usize, until: usize, kind: &'static str) -> Step {
    Step::Replace { from, until, kind }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(table: &[(&str, &str)]) {
        for (text, expected) in table {
            assert_eq!(parameterize(text), *expected, "{text}");
        }
    }

    #[test]
    fn addresses_and_names_of_machines_are_values() {
        check(&[
            ("mail to jo.doe+x@mail.example.com failed", "mail to <email> failed"),
            ("GET https://api.example.com:8443/v1/a?b=1#c, again", "GET <url>, again"),
            ("postgresql+psycopg2://u@db/x refused", "<url> refused"),
            ("see (https://example.com/a).", "see (<url>)."),
            ("cannot resolve db-1.eu.example.com", "cannot resolve <hostname>"),
            ("api.stripe.com timed out", "<hostname> timed out"),
            (
                "at 10.0.0.17 and ::1 and fe80::1:2 and 2001:db8:0:0:1:0:0:1.",
                "at <ip> and <ip> and <ip> and <ip>.",
            ),
            ("mac 00:1b:44:11:3a:b7", "mac <mac>"),
            ("console.info is no host, foo.bar() neither", "console.info is no host, foo.bar() neither"),
            ("java.io.IOException: std::vec", "java.io.IOException: std::vec"),
            ("not an email: @ or a@b", "not an email: @ or a@b"),
            ("Abc::Def and dead::beef stay", "Abc::Def and dead::beef stay"),
        ]);
    }

    #[test]
    fn ids_and_hashes_are_values() {
        check(&[
            (
                "trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 lost",
                "trace <traceparent> lost",
            ),
            ("Root=1-67891233-abcdef012345678912345678", "Root=<traceparent>"),
            ("order 7c9e6679-7425-40de-944b-e07fc1f90ae7", "order <uuid>"),
            ("d41d8cd98f00b204e9800998ecf8427e", "<md5>"),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "<sha1>"),
            ("at 0x7f7a220d85d0, rev 3f2a1bc", "at <hex>, rev <hex>"),
            ("id 12345678 deadbeef feedface1", "id <hex> deadbeef <hex>"),
            ("customer cus_NffrfeUfNV2Hib has pi_3MtwBwLkdIwHu7ix28a3tqPC", "customer cus_<id> has pi_<id>"),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "<id>"),
            ("AbstractBase64EncoderFactoryBean", "AbstractBase64EncoderFactoryBean"),
        ]);
    }

    #[test]
    fn times_are_values() {
        check(&[
            ("at 2026-11-21T02:38:40.559409Z!", "at <date>!"),
            ("at 2026-11-21 02:38:40+01:00 and 2026-11-21", "at <date> and <date>"),
            ("at 2026/11/21 02:38", "at <date>"),
            ("Mon, 02 Jan 2006 15:04:05 GMT", "<date>"),
            ("Monday, 02-Jan-06 15:04:05 MST", "<date>"),
            ("Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time) x", "<date> x"),
            ("Mon Jan  2 15:04:05 2006", "<date>"),
            ("Jan 12 15:04:05 host", "<date> host"),
            ("[02/Jan/2006:15:04:05 +0000]", "[<date>]"),
            ("until 3:04PM or 15:04", "until <date> or <date>"),
            ("datetime.datetime(2026, 1, 2, 3, 4, tzinfo=None) given", "<date> given"),
            ("May the force, Mon ami", "May the force, Mon ami"),
            (
                "timeout of 30000ms exceeded after 1.5s, 1h2m3s, 30 seconds",
                "timeout of <duration> exceeded after <duration>, <duration>, <duration>",
            ),
            ("250µs", "<duration>"),
            ("main.js:12:34", "main.js:<int>:<int>"),
        ]);
    }

    #[test]
    fn plain_numbers_are_values() {
        check(&[
            ("order 1 for 12.50 of -3, +4", "order <int> for <float> of <int>, <int>"),
            ("'missing-60' stripe-eu-1", "'missing-<int>' stripe-eu-<int>"),
            ("used 512MB of 2GB, 1.5e-3, 3e8", "used <int>MB of <int>GB, <float>, <float>"),
            ("order_12345 utf_8 int_32 md5 s3 x0", "order_<int> utf_8 int_32 md5 s3 x0"),
            ("name='jo' ok=true off=False == 'kept'", "name=<quoted_str> ok=<bool> off=<bool> == 'kept'"),
            ("5xx 2nd 3DS 42P01 E11000", "5xx 2nd 3DS 42P01 E11000"),
            ("verification code 482913", "verification code <int>"),
            ("job_12345678901.5 error_503", "job_<int>.<int> error_503"),
            (&format!("job_{}", "1".repeat(140)), "job_<int>"),
            ("nothing here", "nothing here"),
            ("", ""),
        ]);
    }

    #[test]
    fn what_an_operator_acts_on_stays() {
        for text in [
            "Request failed with status code 503",
            "payment provider stripe returned 502",
            "HTTP 429 Too Many Requests",
            "HTTP/1.1 503",
            "nginx said 502 Bad Gateway",
            "responded with a 404",
            "Not Found (404)",
            "status=500 statusCode: 401 status_code=403",
            "[Errno 111] Connection refused",
            "SQLSTATE[23000]: x",
            "ERROR 1045: denied",
            "ORA-00942: no table",
            "killed by signal 9",
            "exited with code 137",
            "exit status 1",
            "port 5432 closed",
            "redis:6379 refused",
            "rpc error: code = 14",
            "code 0x80070005",
            "python 3.11, TLSv1.2, nginx/1.18, version 2.0, lib 1.2.3",
        ] {
            assert_eq!(parameterize(text), text);
        }
        check(&[
            ("connect 10.0.0.5:5432 from 10.0.0.6:51234", "connect <ip>:5432 from <ip>:<int>"),
            ("localhost:6379 [::1]:80", "<hostname>:6379 [<ip>]:80"),
            ("got 17 items", "got <int> items"),
            ("app.py:443", "app.py:<int>"),
        ]);
    }

    #[test]
    fn a_hostile_text_is_cut_and_costs_little() {
        let text = "ä".repeat(BYTES_MAX);
        assert!(parameterize(&text).len() <= BYTES_MAX);
        for pattern in ["a.", "1:", "a@", "=\"", "http://", "1.", "f:", "Jan 1", "a_1", "400 A"] {
            let text = pattern.repeat(BYTES_MAX);
            assert!(parameterize(&text).len() <= BYTES_MAX * 8, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            let _out = parameterize(&text);
        }

        #[test]
        fn any_text_near_the_shapes_is_taken(text in "[0-9a-fA-F:.@=\"'/_+ x-]{0,80}[äµ]?[0-9a-zTZ:. -]{0,40}") {
            let _out = parameterize(&text);
        }

        #[test]
        fn numbers_ids_and_times_never_split(number in 10_u32..9_999_999, id in any::<u128>(), secs in 0_i64..4_000_000_000) {
            let uuid = uuid::Uuid::from_u128(id);
            let at = crate::base::Timestamp::from_secs(secs).to_rfc3339();
            let text = format!("job {number} of {uuid} at {at} from {number}.example.com took {number}ms");
            prop_assert_eq!(
                parameterize(&text),
                "job <int> of <uuid> at <date> from <hostname> took <duration>"
            );
        }
    }
}
