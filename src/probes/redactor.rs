//! What a target said, as it may be shown, stored and told: without the probe's own secrets, however they are written
//! there, and without what looks like anybody's, as intake scrubs it.
//!
//! Conditions judge what was really said. Whatever makes words of it goes through here, and is cut only after: half a
//! secret is a secret. [`Facts`](super::condition::Facts) hold the redactor and give texts out through it, and
//! [`Raw`](super::seen::Raw) becomes what others see no other way.

mod needle;
mod visible;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::Secrets;
use super::secrets::take_from_url;
use crate::base::text::clip;
use crate::scrub::{FILTERED, Scrubber};
use needle::{Needle, needles};
use visible::visible;
pub use visible::visible_line;

/// Takes secrets out of what a target said. Without a probe's own, only by their looks.
#[derive(Default)]
pub struct Redactor {
    needles: BTreeSet<Needle>,
    scrubber: Scrubber,
}

/// What stands where one of the probe's own secrets stood.
const SECRET: &str = "[secret]";
/// Of a text of which only the beginning is shown, so much is looked at: a secret in it makes room for what follows.
const LOOKED_AT_BYTES: usize = 64 * 1024;
/// What may be half a secret at the end of that; of the probe's own ones it is at least their length.
const DOUBTFUL_BYTES_MIN: usize = 8 * 1024;

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    pub fn new(secrets: &Secrets) -> Self {
        let mut found = BTreeSet::new();
        for secret in secrets.0.values() {
            let whole = secret.expose();
            let within = [password_within(whole), password_of_url(whole)];
            found.extend(needles(whole));
            for password in within.iter().flatten() {
                found.extend(needles(password));
            }
        }
        Self { needles: found, scrubber: Scrubber::default() }
    }

    /// Tocsin's own words, in which a secret of the probe may stand.
    pub fn own_words(&self, text: &str, chars_max: usize) -> String {
        // They may repeat what the target said.
        cut(text, chars_max, |text| visible_line(&self.hidden(text)), self.doubtful_bytes())
    }

    /// A text of the target as it stands.
    pub fn text(&self, text: &str, chars_max: usize) -> String {
        cut(text, chars_max, |text| self.scrubbed(text), self.doubtful_bytes())
    }

    /// A text of the target on one line, nothing in it hidden.
    pub fn line(&self, text: &str, chars_max: usize) -> String {
        cut(text, chars_max, |text| visible_line(&self.scrubbed(text)), self.doubtful_bytes())
    }

    /// As [`Redactor::line`], on as many lines as it has.
    pub fn lines(&self, text: &str, chars_max: usize) -> String {
        cut(text, chars_max, |text| visible(&self.scrubbed(text)), self.doubtful_bytes())
    }

    /// A value whose name may say that it is secret.
    pub fn named(&self, name: &str, value: &str, chars_max: usize) -> String {
        if self.scrubber.hides(name, value) { FILTERED.to_owned() } else { self.text(value, chars_max) }
    }

    /// A header, as a line. Of a cookie that is its name, and how it may be used.
    pub fn header(&self, name: &str, value: &str, chars_max: usize) -> String {
        if name.eq_ignore_ascii_case("set-cookie") {
            return self.line(&without_value(value), chars_max);
        }
        if self.scrubber.hides(name, value) { FILTERED.to_owned() } else { self.line(value, chars_max) }
    }

    /// Data of a client, as it may be written; nothing of what cannot be scrubbed.
    pub fn json(&self, data: &Json) -> Json {
        let scrubbed = self.scrubber.json(self.hidden(&data.to_string()).as_bytes());
        scrubbed.ok().and_then(|scrubbed| serde_json::from_slice(&scrubbed.json).ok()).unwrap_or_default()
    }

    fn scrubbed(&self, text: &str) -> String {
        self.scrubber.text(&self.hidden(text)).into_owned()
    }

    fn hidden(&self, text: &str) -> String {
        let mut found = Vec::new();
        for needle in &self.needles {
            needle.find(text, &mut found);
        }
        found.sort_unstable_by_key(|span| (span.start, span.end));
        without(text, &found)
    }

    fn doubtful_bytes(&self) -> usize {
        let longest = self.needles.iter().map(Needle::written_bytes_max).max().unwrap_or_default();
        longest.max(DOUBTFUL_BYTES_MIN)
    }
}

/// The beginning of what `shown` makes of `text`. Of a text that goes on beyond what is looked at, its end is let go
/// of: a secret may begin there.
fn cut(text: &str, chars_max: usize, shown: impl Fn(&str) -> String, doubtful: usize) -> String {
    let looked_at = LOOKED_AT_BYTES + doubtful;
    if text.len() <= looked_at {
        return clip(&shown(text), chars_max).into_owned();
    }
    let shown = shown(&text[..text.floor_char_boundary(looked_at)]);
    let sure = &shown[..shown.floor_char_boundary(shown.len().saturating_sub(doubtful))];
    clip(&format!("{sure}…"), chars_max).into_owned()
}

/// Spans in order; those that overlap are one.
fn without(text: &str, found: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for span in found {
        if span.start >= at {
            shown.push_str(&text[at..span.start]);
            shown.push_str(SECRET);
        }
        at = at.max(span.end);
    }
    shown.push_str(&text[at..]);
    shown
}

/// HTTP's own sign-in is one secret as it is sent, and an answer may repeat the password alone: Twilio's account does.
fn password_within(secret: &str) -> Option<String> {
    let both = String::from_utf8(STANDARD.decode(secret).ok()?).ok()?;
    both.split_once(':').map(|(_, password)| password.to_owned())
}

/// A whole address may be one secret.
fn password_of_url(secret: &str) -> Option<String> {
    take_from_url(secret).1.map(|password| password.expose().to_owned())
}

fn without_value(cookie: &str) -> String {
    let (pair, attributes) = cookie.split_at(cookie.find(';').unwrap_or(cookie.len()));
    match pair.split_once('=') {
        Some((name, _)) => format!("{name}={FILTERED}{attributes}"),
        None => format!("{FILTERED}{attributes}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn of(secrets: &[&str]) -> Redactor {
        let secrets =
            secrets.iter().zip('a'..).map(|(secret, name)| (name.to_string(), Secret::new(*secret)));
        Redactor::new(&Secrets(secrets.collect()))
    }

    #[test]
    fn the_password_within_a_sign_in_or_an_address_is_hidden_too() {
        let sign_in = STANDARD.encode("AC123:open sesame");
        let said = format!("{{\"sid\":\"AC123\",\"heard\":\"Basic {sign_in}\",\"who\":\"open%20sesame\"}}");
        let shown = r#"{"sid":"AC123","heard":"Basic [secret]","who":"[secret]"}"#;
        assert_eq!(of(&[&sign_in]).own_words(&said, 1000), shown);
        let redactor = of(&["postgres://u:p%2Fw-x@h/db"]);
        assert_eq!(redactor.text("no entry for p/w-x", 100), "no entry for [secret]");
    }

    #[test]
    fn secrets_that_share_a_part_leave_nothing() {
        let redactor = of(&["sesame", "open sesame", "same street"]);
        assert_eq!(redactor.own_words("an open sesame street (sesame)", 100), "an [secret] ([secret])");
        assert_eq!(
            redactor.own_words("expected `,` but got `\0\u{202e}`", 100),
            "expected `,` but got `\\u{0}\\u{202e}`"
        );
    }

    #[test]
    fn what_is_cut_is_cut_after_it_was_hidden() {
        let redactor = of(&["0123456789abcdef"]);
        assert_eq!(redactor.text("say 0123456789abcdef!", 12), "say [secret…");
        assert_eq!(redactor.text("key: sk_live_51HxyzAbCdEfGh", 15), "key: [Filtered]");
        // However long it is, and whatever stands where it is cut for the first time.
        let long = format!("{}0123456789abcdef", "0123456789abcdef ".repeat(20_000));
        for cut_at in 0..20 {
            let shown = redactor.lines(&format!("{}{long}", "x".repeat(cut_at)), usize::MAX);
            assert!(!shown.contains("0123"), "{cut_at}");
            assert!(shown.ends_with('…'));
        }
        let long = format!("{} end", "word ".repeat(100_000));
        assert!(redactor.line(&long, 4000).starts_with("word word"));
    }

    #[test]
    fn what_looks_like_a_secret_of_anybody_is_hidden() {
        let redactor = Redactor::default();
        for (name, value, shown) in [
            ("set-cookie", "sid=abc123; Path=/; Secure", "sid=[Filtered]; Path=/; Secure"),
            ("Set-Cookie", "abc123", "[Filtered]"),
            ("authorization", "Bearer x", "[Filtered]"),
            ("x-api-key", "abc", "[Filtered]"),
            ("location", "https://u:hunter2@h/?token=abcdef", "https://u:[Filtered]@h/?token=[Filtered]"),
            ("server", "nginx\u{1b}[2J", "nginx\\u{1b}[2J"),
            ("access-control-allow-credentials", "true", "true"),
            ("content-type", "text/html; charset=utf-8", "text/html; charset=utf-8"),
        ] {
            assert_eq!(redactor.header(name, value, 100), shown, "{name}: {value}");
        }
        assert_eq!(redactor.named("password", "hunter2", 100), "[Filtered]");
        assert_eq!(redactor.named("depth", "hunter2", 100), "hunter2");
    }

    #[test]
    fn a_redactor_does_not_say_what_it_hides() {
        assert!(!format!("{:?}", of(&["open sesame"])).contains("sesame"));
    }
}
