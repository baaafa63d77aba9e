//! From text to a condition that a kind of probe can answer.

use super::fields::{Field, FieldKind, Fields, Names};
use super::token::{Kind, Part, Token, tokens};
use super::value::{Unit, Value};
use super::{CHARS_MAX, Comparison, Expr, Fault, Step, Subject, Test, View};

/// Parentheses and `not` inside each other.
const DEPTH_MAX: usize = 16;

pub(super) fn parse(source: &str, fields: &Fields) -> Result<Expr, Fault> {
    let chars = source.chars().count();
    if chars > CHARS_MAX {
        return Err(Fault { at: CHARS_MAX, reason: format!("longer than {CHARS_MAX} characters") });
    }
    let mut parser = Parser { tokens: tokens(source)?, next: 0, end: chars, depth: 0, fields: *fields };
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(fault_at(token.at, format!("{} was not expected here", token.kind.says()))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// Characters of the whole.
    end: usize,
    depth: usize,
    fields: Fields,
}

const fn fault_at(at: usize, reason: String) -> Fault {
    Fault { at, reason }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    /// Where the next token stands, or the end.
    fn at(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    fn fault<T>(&self, reason: impl Into<String>) -> Result<T, Fault> {
        Err(fault_at(self.at(), reason.into()))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token { kind: Kind::Word(next), .. }) if next == word);
        self.next += usize::from(is_next);
        is_next
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token { kind: Kind::Sign(next), .. }) if *next == sign);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), Fault> {
        if self.take_sign(sign) { Ok(()) } else { self.fault(format!("“{sign}” is missing here")) }
    }

    fn any(&mut self) -> Result<Expr, Fault> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Any(parts) })
    }

    fn all(&mut self) -> Result<Expr, Fault> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::All(parts) })
    }

    fn one(&mut self) -> Result<Expr, Fault> {
        if self.depth == DEPTH_MAX {
            return self.fault(format!("nested deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        let expr = if self.take_word("not") {
            Expr::Not(Box::new(self.one()?))
        } else if self.take_sign("(") {
            let inner = self.any()?;
            self.expect_sign(")")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        let (subject, kind) = self.subject()?;
        let is_negated = self.take_word("not");
        let test = if let Some(comparison) = self.comparison() {
            if is_negated {
                return self.fault("“not” stands before the whole: not status == 200");
            }
            Test::Compare(comparison, self.literal(&subject, kind)?)
        } else if self.take_word("contains") {
            Test::Contains(self.literal(&subject, kind)?)
        } else if self.take_word("matches") {
            Test::Matches(self.pattern()?)
        } else if self.take_word("in") {
            Test::In(self.list(&subject, kind)?)
        } else if self.take_word("exists") {
            Test::Exists
        } else if is_negated || !matches!(kind, FieldKind::Flag | FieldKind::Tree(_)) {
            return self
                .fault("a comparison is missing here, like < 300, == \"ok\", contains \"ok\", exists");
        } else {
            Test::IsTrue
        };
        check_order(&test, kind, at)?;
        let test = Expr::Test { subject, test };
        Ok(if is_negated { Expr::Not(Box::new(test)) } else { test })
    }

    fn comparison(&mut self) -> Option<Comparison> {
        const SIGNS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<", Comparison::Less),
            ("<=", Comparison::AtMost),
            (">", Comparison::More),
            (">=", Comparison::AtLeast),
        ];
        SIGNS.iter().find(|(sign, _)| self.take_sign(sign)).map(|(_, comparison)| *comparison)
    }

    /// The subject and what kind of value it comes to.
    fn subject(&mut self) -> Result<(Subject, FieldKind), Fault> {
        let at = self.at();
        let Some(view) = self.view() else {
            let (field, steps) = self.path()?;
            let subject = Subject { view: View::Itself, field: field.name, steps };
            if subject.steps.contains(&Step::Each) && !self.exists_follows() {
                return Err(fault_at(
                    at,
                    "[*] stands for many values: write any(…), all(…) or length(…)".to_owned(),
                ));
            }
            return Ok((subject, field.kind));
        };
        self.expect_sign("(")?;
        let inside = self.at();
        let (field, steps) = self.path()?;
        self.expect_sign(")")?;
        let kind = kind_of(view, field, &steps).map_err(|reason| fault_at(inside, reason))?;
        Ok((Subject { view, field: field.name, steps }, kind))
    }

    fn exists_follows(&self) -> bool {
        matches!(self.peek(), Some(Token { kind: Kind::Word(word), .. }) if word == "exists")
    }

    /// A function, where a parenthesis follows its name.
    fn view(&mut self) -> Option<View> {
        let [Token { kind: Kind::Word(name), .. }, Token { kind: Kind::Sign("("), .. }] =
            self.tokens.get(self.next..self.next + 2)?
        else {
            return None;
        };
        let view = match name.as_str() {
            "length" => View::Length,
            "age" => View::Age,
            "any" => View::AnyOf,
            "all" => View::AllOf,
            _ => return None,
        };
        self.next += 1;
        Some(view)
    }

    fn path(&mut self) -> Result<(&'static Field, Vec<Step>), Fault> {
        let at = self.at();
        let mut steps = self.keys()?;
        loop {
            if self.take_sign(".") {
                steps.extend(self.keys()?);
            } else if self.take_sign("[") {
                steps.push(self.index()?);
                self.expect_sign("]")?;
            } else {
                break;
            }
        }
        let names: Vec<&str> = steps.iter().map_while(Step::key).collect();
        let Some((field, length)) = self.fields.find(&names) else {
            return Err(fault_at(at, self.unknown(&names.join("."))));
        };
        let mut rest = steps.split_off(length);
        match (field.kind, rest.first_mut()) {
            (FieldKind::Tree(Names::InLowerCase), Some(Step::Key(name))) => name.make_ascii_lowercase(),
            (FieldKind::Tree(_), _) | (_, None) => {}
            _ => return Err(fault_at(at, format!("nothing lies below {}", field.name))),
        }
        Ok((field, rest))
    }

    fn unknown(&self, name: &str) -> String {
        match self.fields.nearest(name) {
            Some(meant) => format!("“{name}” is not known here; did you mean {meant}?"),
            None => format!("“{name}” is not known here; there are {}", self.fields.names()),
        }
    }

    /// A name; two where both are digits: `1.50` is no number here.
    fn keys(&mut self) -> Result<Vec<Step>, Fault> {
        let names = match self.peek().map(|token| &token.kind) {
            Some(Kind::Word(word)) => word.clone(),
            // Keys of an object may be numbers.
            Some(Kind::Number(parts)) => match parts.as_slice() {
                [Part { digits, unit, .. }] => format!("{digits}{unit}"),
                _ => return self.fault("a name is expected here"),
            },
            _ => return self.fault("a name is expected here"),
        };
        self.next += 1;
        Ok(names.split('.').map(|name| Step::Key(name.to_owned())).collect())
    }

    fn index(&mut self) -> Result<Step, Fault> {
        let step = match self.peek().map(|token| &token.kind) {
            Some(Kind::Sign("*")) => Step::Each,
            Some(Kind::Text(key)) => Step::Key(key.clone()),
            Some(Kind::Number(parts)) => match parts.as_slice() {
                [Part { number, unit, .. }] if unit.is_empty() => match position(*number) {
                    Some(at) => Step::At(at),
                    None => return self.fault("a position is a whole number from 0 to 9999"),
                },
                _ => return self.fault("a position has no unit"),
            },
            _ => return self.fault("a position, a quoted key or * is expected here"),
        };
        self.next += 1;
        Ok(step)
    }

    fn pattern(&mut self) -> Result<String, Fault> {
        match self.peek().map(|token| &token.kind) {
            Some(Kind::Text(pattern)) => {
                let pattern = pattern.clone();
                self.next += 1;
                Ok(pattern)
            }
            _ => self.fault("a text in quotation marks is expected here; * in it stands for anything"),
        }
    }

    fn list(&mut self, subject: &Subject, kind: FieldKind) -> Result<Vec<Value>, Fault> {
        self.expect_sign("(")?;
        let mut list = vec![self.literal(subject, kind)?];
        while self.take_sign(",") {
            list.push(self.literal(subject, kind)?);
        }
        self.expect_sign(")")?;
        Ok(list)
    }

    fn literal(&mut self, subject: &Subject, kind: FieldKind) -> Result<Value, Fault> {
        let at = self.at();
        let value = match self.peek().map(|token| &token.kind) {
            Some(Kind::Number(parts)) => number(parts).map_err(|reason| fault_at(at, reason))?,
            Some(Kind::Text(text)) => Value::Text(text.clone()),
            Some(Kind::Word(word)) => match word.as_str() {
                "true" => Value::Flag(true),
                "false" => Value::Flag(false),
                "null" => Value::Null,
                word => {
                    return self.fault(format!(
                        "“{word}” is no value; a text stands in quotation marks: \"{word}\""
                    ));
                }
            },
            _ => return self.fault("a value is expected here"),
        };
        self.next += 1;
        check_unit(subject, kind, &value).map_err(|reason| fault_at(at, reason))?;
        Ok(value)
    }
}

impl Step {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::At(_) | Self::Each => None,
        }
    }
}

/// What a function makes of a field, or why it cannot.
fn kind_of(view: View, field: &Field, steps: &[Step]) -> Result<FieldKind, String> {
    let is_text = matches!(field.kind, FieldKind::Tree(_) | FieldKind::Text);
    let has_each = steps.contains(&Step::Each);
    match view {
        View::Length if is_text => Ok(FieldKind::Number(Unit::Plain)),
        View::Age if is_text && !has_each => Ok(FieldKind::Number(Unit::Seconds)),
        View::AnyOf | View::AllOf if has_each => Ok(field.kind),
        View::AnyOf | View::AllOf => Err("any(…) and all(…) want a path with [*] in it".to_owned()),
        View::Length | View::Age | View::Itself => Err(format!("this cannot be asked of {}", field.name)),
    }
}

/// Refuses a literal that no value of the subject could equal.
fn check_unit(subject: &Subject, kind: FieldKind, value: &Value) -> Result<(), String> {
    let name = subject.field;
    match (kind, value) {
        (FieldKind::Number(wanted), Value::Number(_, unit)) if wanted == *unit => Ok(()),
        (FieldKind::Number(wanted), _) => Err(format!("{name} is {}", wanted.says())),
        (FieldKind::Flag, Value::Flag(_)) => Ok(()),
        (FieldKind::Flag, _) => Err(format!("{name} is true or false")),
        (FieldKind::Text, Value::Number(..) | Value::Flag(_)) => {
            Err(format!("{name} is a text, in quotation marks"))
        }
        (FieldKind::Tree(_), Value::Number(_, unit)) if *unit != Unit::Plain => {
            Err("numbers in a body have no unit: write the number as the body has it".to_owned())
        }
        (FieldKind::Text | FieldKind::Tree(_), _) => Ok(()),
    }
}

/// Only numbers, and what a body may say, have an order; only texts contain.
fn check_order(test: &Test, kind: FieldKind, at: usize) -> Result<(), Fault> {
    let reason = match test {
        Test::Compare(Comparison::Equal | Comparison::Unequal, _) => return Ok(()),
        Test::Compare(..) if matches!(kind, FieldKind::Text | FieldKind::Flag) => {
            "this has no order: use == or !="
        }
        Test::Contains(_) | Test::Matches(_) if matches!(kind, FieldKind::Number(_) | FieldKind::Flag) => {
            "only a text can be searched"
        }
        _ => return Ok(()),
    };
    Err(fault_at(at, reason.to_owned()))
}

/// A whole number that a list may have a place for.
fn position(number: f64) -> Option<usize> {
    let is_place = number.fract() == 0.0 && (0.0..10_000.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    is_place.then_some(number as usize)
}

/// A number from its parts: `15m`, or several of one kind, `1h30m`.
fn number(parts: &[Part]) -> Result<Value, String> {
    let (sum, unit) = match parts {
        [Part { number, unit, .. }] if unit.is_empty() => (*number, Unit::Plain),
        parts => sum(parts)?,
    };
    if sum.is_finite() { Ok(Value::Number(sum, unit)) } else { Err("this number is too large".to_owned()) }
}

fn sum(parts: &[Part]) -> Result<(f64, Unit), String> {
    let mut sum = 0.0;
    let mut of = None;
    for Part { number, unit: name, .. } in parts {
        let (factor, unit) =
            Unit::parse(name).ok_or_else(|| format!("“{name}” is no unit; {UNITS_KNOWN}"))?;
        if of.is_some_and(|of| of != unit || unit != Unit::Seconds) {
            return Err("only parts of a duration can be added: 1h30m".to_owned());
        }
        sum += number * factor;
        of = Some(unit);
    }
    Ok((sum, of.unwrap_or(Unit::Plain)))
}

const UNITS_KNOWN: &str = "there are ms s m h d w, B kB MB GB TB KiB MiB GiB TiB and %";
