//! Numbers, hex and random ids: which of them are values, and which name the fault.

use super::shapes::Word;
use super::{Step, replace};

/// A number of this many digits is an id or a time stamp, written in hex or not.
const HEX_DIGITS_MIN: usize = 8;
const HEX_DIGITS_MAX: usize = 128;
/// Longer than any code that an operator knows by heart.
const CODE_DIGITS_MAX: usize = 6;
/// Linux and IANA hand out ports from here on to outgoing connections: they change every time.
const EPHEMERAL_PORT_FIRST: u32 = 32_768;

/// A word that begins with a digit.
pub(super) fn number(bytes: &[u8], word: Word, is_port: bool) -> Step {
    let at = word.start;
    if let Some(step) = hex_literal(bytes, word).or_else(|| identifier(bytes, word)) {
        return step;
    }
    if !word.all_digits() {
        return sized(bytes, word);
    }
    if let Some(step) = dotted(bytes, word) {
        return step;
    }
    let kept = may_be_code(word)
        && (is_port && is_lasting_port(bytes, word)
            || names_the_fault(bytes, word)
            || is_known_port(bytes, word));
    if kept { Step::Keep { until: word.end } } else { replace(signed_start(bytes, at), word.end, "<int>") }
}

/// A word that begins with a letter.
pub(super) fn word(bytes: &[u8], word: Word) -> Step {
    if let Some(step) = identifier(bytes, word) {
        return step;
    }
    let mut until = word.end;
    if bytes[word.end - 1].is_ascii_digit() {
        while let Some(end) = dotted_part_end(bytes, until) {
            until = end;
        }
    }
    Step::Keep { until }
}

/// A word behind `_`: part of a name unless it is long.
pub(super) fn glued(bytes: &[u8], word: Word) -> Step {
    /// `utf_8` and `int_32` are names, `order_123` is not.
    const DIGITS_MIN: usize = 3;
    const ID_MIN: usize = 14;
    if let Some(step) = identifier(bytes, word) {
        return step;
    }
    let is_number =
        word.all_digits() && word.len() >= DIGITS_MIN && !(may_be_code(word) && names_the_fault(bytes, word));
    if is_number {
        return replace(word.start, word.end, "<int>");
    }
    if word.len() >= ID_MIN && word.has_lower && word.has_upper && word.digits > 0 {
        return replace(word.start, word.end, "<id>");
    }
    Step::Keep { until: word.end }
}

/// Whether a word such as `version` or `nginx/` stands before a dotted number.
pub(super) fn follows_version_word(bytes: &[u8], at: usize) -> bool {
    const PRODUCTS: [&str; 16] = [
        "version", "ver", "v", "tls", "ssl", "http", "python", "node", "nodejs", "ruby", "php", "java", "go",
        "rust", "release", "sdk",
    ];
    let Some(before) = Before::of(bytes, at) else { return false };
    let slashed = at >= 2 && bytes[at - 1] == b'/' && bytes[at - 2].is_ascii_alphabetic();
    slashed || PRODUCTS.iter().any(|product| before.is(product))
}

fn hex_literal(bytes: &[u8], word: Word) -> Option<Step> {
    /// `HRESULT` and `NTSTATUS` have eight digits; addresses mostly have more.
    const CODE_HEX_DIGITS_MAX: usize = 8;
    let digits =
        bytes[word.start..word.end].strip_prefix(b"0x").or(bytes[word.start..word.end].strip_prefix(b"0X"))?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let kept = digits.len() <= CODE_HEX_DIGITS_MAX
        && Before::of(bytes, word.start).is_some_and(|w| w.names_a_code());
    Some(if kept { Step::Keep { until: word.end } } else { replace(word.start, word.end, "<hex>") })
}

/// Hashes, hex ids, commit ids and random ids.
fn identifier(bytes: &[u8], word: Word) -> Option<Step> {
    const RANDOM_MIN: usize = 16;
    const RANDOM_DIGITS_MIN: usize = 3;
    const COMMIT: usize = 7;
    let one_case = !(word.has_lower && word.has_upper);
    let behind = bytes.get(word.end);
    let is_hex = word.all_hex && one_case && word.digits > 0;
    let mixed = word.digits < word.len();
    let hex = is_hex
        && ((HEX_DIGITS_MIN..=HEX_DIGITS_MAX).contains(&word.len())
            && !(word.all_digits() && behind == Some(&b'.') && dotted_part_end(bytes, word.end).is_some())
            || word.len() == COMMIT && mixed && word.digits >= 2 && !exponent(bytes, word));
    if hex {
        let kind = match word.len() {
            32 if mixed => "<md5>",
            40 if mixed => "<sha1>",
            _ => "<hex>",
        };
        return Some(replace(word.start, word.end, kind));
    }
    let random =
        word.len() >= RANDOM_MIN && word.digits >= RANDOM_DIGITS_MIN && word.digit_groups >= 2 && mixed;
    random.then(|| replace(word.start, word.end, "<id>"))
}

/// `1234e56`: a number, though all its characters are hex.
fn exponent(bytes: &[u8], word: Word) -> bool {
    word.digits + 1 == word.len() && bytes[word.start..word.end].contains(&b'e')
}

/// `512MB`, `12px`, `1e9`: a number with a unit. Anything else (`5xx`, `2nd`, `42P01`) is a name.
fn sized(bytes: &[u8], word: Word) -> Step {
    const UNITS: [&[u8]; 18] = [
        b"B", b"b", b"kB", b"KB", b"MB", b"GB", b"TB", b"kb", b"mb", b"gb", b"KiB", b"MiB", b"GiB", b"TiB",
        b"K", b"M", b"G", b"px",
    ];
    let digits = bytes[word.start..word.end].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits_end = word.start + digits;
    if UNITS.contains(&&bytes[digits_end..word.end]) {
        return replace(signed_start(bytes, word.start), digits_end, "<int>");
    }
    if exponent(bytes, word) && !matches!(bytes[word.end - 1], b'e') {
        return replace(signed_start(bytes, word.start), word.end, "<float>");
    }
    Step::Keep { until: word.end }
}

/// `1.5` is a float, `1.2.3` a version, and so is `1.2` behind the name of a product.
fn dotted(bytes: &[u8], word: Word) -> Option<Step> {
    let mut until = dotted_part_end(bytes, word.end)?;
    if let Some(third) = dotted_part_end(bytes, until) {
        until = third;
        while let Some(end) = dotted_part_end(bytes, until) {
            until = end;
        }
        return Some(Step::Keep { until });
    }
    if follows_version_word(bytes, word.start) {
        return Some(Step::Keep { until });
    }
    if let Some(b'e' | b'E') = bytes.get(until) {
        let sign = usize::from(matches!(bytes.get(until + 1), Some(b'+' | b'-')));
        let exponent = bytes[until + 1..].iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
        until += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    Some(replace(signed_start(bytes, word.start), until, "<float>"))
}

/// The end of `.digits` at `at`.
fn dotted_part_end(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = bytes.get(at..)?.strip_prefix(b".")?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(at + 1 + digits)
}

/// Takes a sign in, where it is one and not a hyphen.
fn signed_start(bytes: &[u8], at: usize) -> usize {
    let is_sign = at >= 1
        && matches!(bytes[at - 1], b'-' | b'+')
        && (at == 1
            || matches!(
                bytes[at - 2],
                b' ' | b'\t' | b'=' | b'(' | b'[' | b'{' | b',' | b':' | b'"' | b'\''
            ));
    at - usize::from(is_sign)
}

fn may_be_code(word: Word) -> bool {
    word.len() <= CODE_DIGITS_MAX
}

/// The number that a word of digits is. Only for what [`may_be_code`]: more digits would not fit.
fn value(bytes: &[u8], word: Word) -> u32 {
    bytes[word.start..word.end].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

fn is_lasting_port(bytes: &[u8], word: Word) -> bool {
    (1..EPHEMERAL_PORT_FIRST).contains(&value(bytes, word))
}

/// `redis:6379`: a port behind a bare name is told from a line number by being well known.
fn is_known_port(bytes: &[u8], word: Word) -> bool {
    const KNOWN_PORTS: [u32; 22] = [
        22, 25, 53, 80, 443, 465, 587, 1433, 1521, 2181, 3000, 3306, 5432, 5672, 6379, 8080, 8443, 9000,
        9092, 9200, 11_211, 27_017,
    ];
    /// A label of a host name is no longer.
    const NAME_BYTES_MAX: usize = 63;
    let Some(colon) = word.start.checked_sub(1).filter(|before| bytes[*before] == b':') else { return false };
    let name_start =
        bytes[..colon].iter().rev().take(NAME_BYTES_MAX).take_while(|b| !b.is_ascii_whitespace());
    let name_start = colon - name_start.count();
    let name = &bytes[name_start..colon];
    let is_bare = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_bare && KNOWN_PORTS.contains(&value(bytes, word))
}

/// Whether an operator would act differently on another number in its place.
fn names_the_fault(bytes: &[u8], word: Word) -> bool {
    /// `status was a 503`: how many words may stand between.
    const FILLERS_MAX: usize = 3;
    let number = value(bytes, word);
    let is_status = (400..600).contains(&number);
    if is_status && reason_phrase_follows(bytes, word.end) {
        return true;
    }
    if word.start >= 4 && is_vendor_prefix(&bytes[..word.start]) {
        return true;
    }
    let Some(mut before) = Before::of(bytes, word.start) else {
        return is_status && bytes[..word.start].trim_ascii_end().ends_with(b"HTTP/1.1");
    };
    for _ in 0..FILLERS_MAX {
        if before.is("port") {
            return is_lasting_port(bytes, word);
        }
        if before.is("code") && Before::of(bytes, before.start).is_some_and(|kind| kind.is_of_a_person()) {
            return false;
        }
        if before.names_a_code() || is_status && before.tells_of_an_answer() {
            return true;
        }
        match Before::of(bytes, before.start) {
            Some(further) if before.is_filler() => before = further,
            Some(_) | None => return false,
        }
    }
    false
}

/// `ORA-00942`, `SQL-803`.
fn is_vendor_prefix(before: &[u8]) -> bool {
    [&b"ORA-"[..], b"PLS-", b"TNS-", b"SQL-", b"CVE-", b"IMAP-", b"PGRST-"]
        .iter()
        .any(|prefix| before.ends_with(prefix))
}

fn reason_phrase_follows(bytes: &[u8], at: usize) -> bool {
    const FIRST_WORDS: [&[u8]; 18] = [
        b"Bad",
        b"Unauthorized",
        b"Payment",
        b"Forbidden",
        b"Not",
        b"Method",
        b"Conflict",
        b"Gone",
        b"Payload",
        b"Request",
        b"Unprocessable",
        b"Too",
        b"Internal",
        b"Service",
        b"Gateway",
        b"Client",
        b"Server",
        b"Proxy",
    ];
    let Some(rest) = bytes[at..].strip_prefix(b" ") else { return false };
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    FIRST_WORDS.contains(&&rest[..length])
}

/// The word before a number, `status_code` read as `statuscode`.
struct Before {
    start: usize,
    letters: [u8; Self::LETTERS_MAX],
    len: usize,
}

impl Before {
    const LETTERS_MAX: usize = 14;

    fn of(bytes: &[u8], at: usize) -> Option<Self> {
        /// `code: [`, `="`: what may stand between a word and its number.
        const BETWEEN_MAX: usize = 4;
        let is_between = |byte: &u8| {
            matches!(
                byte,
                b' ' | b':' | b'=' | b'#' | b'(' | b'[' | b'{' | b'"' | b'\'' | b'-' | b'/' | b'_' | b','
            )
        };
        let between = bytes[..at].iter().rev().take_while(|byte| is_between(byte)).count();
        let end = at - between;
        let length = bytes[..end].iter().rev().take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
        if between > BETWEEN_MAX || length == 0 {
            return None;
        }
        let mut before = Self { start: end - length, letters: [0; Self::LETTERS_MAX], len: 0 };
        for byte in bytes[before.start..end].iter().filter(|byte| **byte != b'_') {
            *before.letters.get_mut(before.len)? = byte.to_ascii_lowercase();
            before.len += 1;
        }
        Some(before)
    }

    fn is(&self, word: &str) -> bool {
        word.as_bytes() == &self.letters[..self.len]
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    fn is_filler(&self) -> bool {
        self.is_one_of(&["is", "was", "of", "with", "a", "an", "the", "by", "to", "number", "no", "been"])
    }

    fn names_a_code(&self) -> bool {
        self.is_one_of(&[
            "status",
            "statuscode",
            "httpstatus",
            "httpcode",
            "http",
            "https",
            "code",
            "errorcode",
            "errcode",
            "errno",
            "winerror",
            "oserror",
            "error",
            "err",
            "sqlstate",
            "sqlcode",
            "signal",
            "sig",
            "exit",
            "exitcode",
            "exitstatus",
            "exited",
            "returncode",
            "hresult",
            "ntstatus",
            "grpcstatus",
            "grpccode",
            "responsecode",
        ])
    }

    /// `verification code 482913`: differs for everybody.
    fn is_of_a_person(&self) -> bool {
        self.is_one_of(&[
            "verification",
            "confirmation",
            "zip",
            "postal",
            "promo",
            "coupon",
            "discount",
            "voucher",
            "area",
            "product",
            "otp",
            "access",
            "sms",
            "auth",
            "invite",
            "referral",
            "tracking",
        ])
    }

    fn tells_of_an_answer(&self) -> bool {
        self.is_one_of(&[
            "returned",
            "returns",
            "returning",
            "got",
            "received",
            "response",
            "responded",
            "answered",
            "answer",
            "replied",
            "reply",
            "gave",
            "upstream",
            "found",
            "forbidden",
            "unauthorized",
            "unavailable",
            "requests",
            "conflict",
            "gone",
            "timeout",
            "gateway",
            "failed",
        ])
    }
}
