//! Words, numbers, texts and signs of a condition, each with its place.

use super::Fault;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// Characters before it.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name, a keyword or a unit.
    Word(String),
    /// With the unit that follows it at once: `15m`, `90%`, `1h30m` as (1, h), (30, m).
    Number(Vec<Part>),
    Text(String),
    /// One of `== != < <= > >= ( ) [ ] . , *`; `=` is read as `==`.
    Sign(&'static str),
}

/// A number and its unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) number: f64,
    /// As it was typed: a key of digits may be longer than what a number can tell apart.
    pub(super) digits: String,
    /// Empty: none.
    pub(super) unit: String,
}

/// Longest first.
const SIGNS: [(&str, &str); 14] = [
    ("==", "=="),
    ("!=", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("=", "=="),
    ("<", "<"),
    (">", ">"),
    ("(", "("),
    (")", ")"),
    ("[", "["),
    ("]", "]"),
    (".", "."),
    (",", ","),
    ("*", "*"),
];

impl Kind {
    pub(super) fn says(&self) -> String {
        match self {
            Self::Word(word) => format!("“{word}”"),
            Self::Number(_) => "a number".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Sign(sign) => format!("“{sign}”"),
        }
    }
}

pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Fault> {
    let mut scanner = Scanner { rest: source, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = scanner.next_token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

impl Part {
    fn negated(self) -> Self {
        Self { number: -self.number, digits: format!("-{}", self.digits), ..self }
    }
}

struct Scanner<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn next_token(&mut self) -> Result<Option<Token>, Fault> {
        self.take_while(char::is_whitespace);
        let at = self.at;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let kind = match first {
            '"' | '\'' => self.text(first)?,
            '0'..='9' => self.number()?,
            '-' => self.negative()?,
            c if is_word(c) => Kind::Word(self.take_while(is_word).to_owned()),
            _ => self.sign()?,
        };
        Ok(Some(Token { at, kind }))
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }

    fn fault(&self, reason: &str) -> Fault {
        Fault { at: self.at, reason: reason.to_owned() }
    }

    fn sign(&mut self) -> Result<Kind, Fault> {
        let found = SIGNS.iter().find(|(typed, _)| self.rest.starts_with(typed));
        let (typed, meant) = found.ok_or_else(|| self.fault("this character has no meaning here"))?;
        self.take(typed.len());
        Ok(Kind::Sign(meant))
    }

    /// Between equal quotes; a backslash makes the next character plain.
    fn text(&mut self, quote: char) -> Result<Kind, Fault> {
        let mut text = String::new();
        let mut escaped = false;
        for (offset, c) in self.rest.char_indices().skip(1) {
            if escaped || (c != quote && c != '\\') {
                text.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else {
                self.take(offset + c.len_utf8());
                return Ok(Kind::Text(text));
            }
        }
        Err(self.fault("the text is not closed: a quotation mark is missing"))
    }

    fn negative(&mut self) -> Result<Kind, Fault> {
        self.take(1);
        match self.rest.chars().next() {
            Some('0'..='9') => {}
            _ => return Err(self.fault("a number must follow the minus sign")),
        }
        Ok(match self.number()? {
            Kind::Number(parts) => Kind::Number(parts.into_iter().map(Part::negated).collect()),
            other => other,
        })
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let mut parts = Vec::new();
        while self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = self.digits();
            let number: f64 = digits.parse().map_err(|_| self.fault("this is no number"))?;
            let unit = self.take_while(|c| c.is_ascii_alphabetic() || c == '%');
            parts.push(Part { number, digits: digits.to_owned(), unit: unit.to_owned() });
        }
        Ok(Kind::Number(parts))
    }

    /// Digits, and a fraction where more digits follow the point.
    fn digits(&mut self) -> &'a str {
        let whole = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let fraction = self.rest[whole..].strip_prefix('.').map_or(0, |rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if digits == 0 { 0 } else { digits + 1 }
        });
        self.take(whole + fraction)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-' || c == '$' || c == '@'
}
