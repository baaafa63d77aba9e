//! Files as entries: which thing is named where, and what is said of it. What a section does with it is its own.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::files::{Document, Source};
use super::order;
use super::problem::Problem;
use super::sections::{self, SECTIONS, Section, Shape};
use super::wish::Wish;
use crate::base::nearest::nearest;
use crate::base::text::clip;

/// Files, understood: what every entry asks for, in the order in which it is carried out.
#[derive(Default)]
pub struct Manifest {
    pub(super) wishes: Vec<Wish>,
}

/// One thing that a file names.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// With the key of what it belongs to: `shop/storefront`. Empty for a section that is one thing.
    pub(super) key: String,
    pub(super) place: Place,
    /// Everything but its secrets.
    pub(super) fields: Map<String, Value>,
    /// References by the names of the secrets.
    pub(super) secrets: BTreeMap<String, String>,
    /// Of everything below the entry, by its path with dots.
    pub(super) lines: BTreeMap<String, usize>,
    /// The paths of what is left out, because it is wrong.
    pub(super) flaws: Vec<String>,
    /// Its file is not TOML as a whole: nothing is known of it but that it is there.
    pub(super) is_torn: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: Arc<str>,
    line: usize,
}

/// The field of an entry that holds the references to its secrets.
pub(super) const SECRETS: &str = "secrets";
/// Syntax errors of one file; those after them may be mere consequences.
const SYNTAX_TOLD_MAX: usize = 5;

impl Manifest {
    /// Understands all of it, and tells everything that is wrong.
    pub fn read(document: &Document) -> (Self, Vec<Problem>) {
        let (mut found, mut problems) = (Found::default(), Vec::new());
        for source in &document.files {
            found.read_file(source, &mut problems);
        }
        let read = |(section, entry)| Wish::read(section, entry, document, &mut problems);
        let mut wishes: Vec<Wish> = found.entries.into_iter().map(read).collect();
        // Stable: within a section it goes by files and lines.
        wishes.sort_by_key(|wish| sections::rank(wish.section));
        let wishes = order::by_dependency(wishes, &mut problems);
        refuse_twins(&wishes, &mut problems);
        (Self { wishes }, problems)
    }

    /// The references that it names, each with its place.
    pub(super) fn references(&self) -> impl Iterator<Item = (Place, &str)> {
        self.wishes.iter().flat_map(|wish| {
            let entry = &wish.entry;
            entry
                .secrets
                .iter()
                .map(|(name, reference)| (entry.place_of(&format!("{SECRETS}.{name}")), reference.as_str()))
        })
    }
}

impl Entry {
    /// Where a part of it stands, or what the part belongs to.
    pub(super) fn place_of(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Place { file: Arc::clone(&self.place.file), line: *line };
            }
            match path.rsplit_once('.') {
                Some((above, _)) => path = above,
                None => return self.place.clone(),
            }
        }
    }

    pub(super) fn problem(&self, path: &str, text: impl Into<String>) -> Problem {
        Problem { path: path.to_owned(), ..Problem::new(self.place_of(path), text) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Two entries with keys of their own can mean one thing.
fn refuse_twins(wishes: &[Wish], problems: &mut Vec<Problem>) {
    let mut known: BTreeMap<(&str, String), &Entry> = BTreeMap::new();
    for wish in wishes {
        let key = wish.key();
        let called = wish.section.called(&key);
        if let Some(first) = known.insert((wish.section.name, key), &wish.entry) {
            problems.push(wish.entry.problem("", format!("{called} is named twice: at {} too", first.place)));
        }
    }
}

/// Whether a text names a secret instead of being one.
pub(super) fn is_reference(text: &str) -> bool {
    ["file:", "cred:", "env:"].iter().any(|kind| text.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
}

/// What was found so far.
#[derive(Default)]
struct Found {
    entries: Vec<(&'static Section, Entry)>,
    /// Where each was named first.
    places: BTreeMap<(&'static str, String), Place>,
}

/// One file while it is read.
struct Reading<'a> {
    file: Arc<str>,
    /// It is not TOML as a whole.
    is_torn: bool,
    /// Where each line begins.
    starts: Vec<usize>,
    problems: &'a mut Vec<Problem>,
}

type Named<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

impl Found {
    fn read_file(&mut self, source: &Source, problems: &mut Vec<Problem>) {
        let newlines = source.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let (file, is_torn, mut untold) = (Arc::from(source.name.as_str()), !errors.is_empty(), Vec::new());
        let mut reading = Reading { file, is_torn, starts, problems };
        for error in errors.iter().take(SYNTAX_TOLD_MAX) {
            let place = reading.place(error.span().unwrap_or_default());
            reading.problems.push(Problem::new(place, format!("is not TOML: {}", error.message())));
        }
        if is_torn {
            // What could be read says at least what is named there. What is wrong with it may be a mere consequence.
            reading.problems = &mut untold;
        }
        for (name, value) in table.get_ref() {
            let Some(section) = SECTIONS.iter().find(|it| it.stands_alone && it.name == name.get_ref())
            else {
                let near = nearest(name.get_ref(), SECTIONS.iter().map(|section| section.name));
                reading.unknown(name, "section", near);
                continue;
            };
            match (section.shape, value.get_ref()) {
                (Shape::Single, DeValue::Table(fields)) => {
                    self.read_entry(section, String::new(), (name, fields), &mut reading);
                }
                (Shape::Keyed, DeValue::Table(entries)) => {
                    for entry in entries {
                        self.read_keyed(section, "", entry, &mut reading);
                    }
                }
                (Shape::Single | Shape::Keyed, _) => reading.no_table(name, &format!("[{}]", section.name)),
            }
        }
    }

    /// `above` is the key of what it belongs to, with a slash; empty for nothing.
    fn read_keyed(
        &mut self,
        section: &'static Section,
        above: &str,
        (key, value): Named<'_>,
        reading: &mut Reading<'_>,
    ) {
        let DeValue::Table(fields) = value.get_ref() else {
            return reading.no_table(key, &format!("[{}.NAME]", section.name));
        };
        let full = format!("{above}{}", key.get_ref());
        let mut is_only_above = !fields.is_empty();
        for (name, value) in fields {
            let child =
                SECTIONS.iter().find(|it| it.below == Some(section.name) && it.name == name.get_ref());
            match (child, value.get_ref()) {
                (Some(child), DeValue::Table(entries)) => {
                    for entry in entries {
                        self.read_keyed(child, &format!("{full}/"), entry, reading);
                    }
                }
                (Some(child), _) => {
                    reading.no_table(name, &format!("[{}.{full}.{}.NAME]", section.name, child.name));
                }
                (None, _) => is_only_above = false,
            }
        }
        if !is_only_above {
            self.read_entry(section, full, (key, fields), reading);
        }
    }

    fn read_entry(
        &mut self,
        section: &'static Section,
        key: String,
        (name, fields): (&Spanned<DeString<'_>>, &DeTable<'_>),
        reading: &mut Reading<'_>,
    ) {
        let (place, told) = (reading.place(name.span()), reading.problems.len());
        let mut entry = Entry {
            key,
            place,
            fields: Map::new(),
            secrets: BTreeMap::new(),
            lines: BTreeMap::new(),
            flaws: Vec::new(),
            is_torn: reading.is_torn,
        };
        for (name, value) in fields {
            let is_child =
                SECTIONS.iter().any(|it| it.below == Some(section.name) && it.name == name.get_ref());
            if is_child {
                continue;
            }
            reading.note_lines(name.get_ref(), name.span(), value, &mut entry.lines);
            if name.get_ref() == SECRETS {
                reading.read_secrets(value, &mut entry);
                continue;
            }
            match plain(value.get_ref()) {
                Ok(value) => drop(entry.fields.insert(name.get_ref().to_string(), value)),
                Err(why) => {
                    reading.problems.push(entry.problem(name.get_ref(), format!("{} {why}", name.get_ref())));
                }
            }
        }
        entry.flaws = reading.problems[told..].iter().map(|problem| problem.path.clone()).collect();
        if let Some(first) = self.places.get(&(section.name, entry.key.clone())) {
            let text = format!("{} is named twice: at {first} too", section.called(&entry.key));
            reading.problems.push(Problem::new(&entry.place, text));
        } else {
            self.places.insert((section.name, entry.key.clone()), entry.place.clone());
            self.entries.push((section, entry));
        }
    }
}

impl Reading<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start);
        Place { file: Arc::clone(&self.file), line }
    }

    fn note_lines(
        &self,
        path: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        lines: &mut BTreeMap<String, usize>,
    ) {
        lines.insert(path.to_owned(), self.place(span).line);
        match value.get_ref() {
            DeValue::Table(fields) => {
                for (name, value) in fields {
                    self.note_lines(&format!("{path}.{}", name.get_ref()), name.span(), value, lines);
                }
            }
            DeValue::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.note_lines(&format!("{path}.{place}"), item.span(), item, lines);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    /// A secret that stands in a file itself is refused, and not repeated.
    fn read_secrets(&mut self, value: &Spanned<DeValue<'_>>, entry: &mut Entry) {
        let DeValue::Table(fields) = value.get_ref() else {
            let text = "secrets is a table, such as { token = \"file:/etc/tocsin/token\" }";
            return self.problems.push(entry.problem(SECRETS, text));
        };
        for (name, value) in fields {
            match value.get_ref() {
                DeValue::String(text) if is_reference(text) => {
                    entry.secrets.insert(name.get_ref().to_string(), text.to_string());
                }
                _ => {
                    let text = format!(
                        "secrets.{} stands in the file: put it elsewhere and name that place, as file:PATH, \
                         cred:NAME or env:NAME",
                        name.get_ref()
                    );
                    self.problems.push(entry.problem(&format!("{SECRETS}.{}", name.get_ref()), text));
                }
            }
        }
    }

    fn unknown(&mut self, name: &Spanned<DeString<'_>>, what: &str, near: Option<&str>) {
        let place = self.place(name.span());
        let shown = clip(name.get_ref(), 80);
        let text = if let Some(near) = near {
            format!("`{shown}` is no {what}; did you mean `{near}`?")
        } else {
            let known: Vec<&str> = SECTIONS.iter().filter(|it| it.stands_alone).map(|it| it.name).collect();
            format!("`{shown}` is no {what}; there are {}", known.join(", "))
        };
        self.problems.push(Problem::new(place, text));
    }

    fn no_table(&mut self, name: &Spanned<DeString<'_>>, looks: &str) {
        let text = format!("`{}` is a table: write {looks}", clip(name.get_ref(), 80));
        self.problems.push(Problem::new(self.place(name.span()), text));
    }
}

/// The value without its place. A date is its text.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            read.map_err(|_| "is too large a number")?.into()
        }
        DeValue::Float(number) => {
            let read: f64 = number.as_str().parse().map_err(|_| "is not a number")?;
            serde_json::Number::from_f64(read).ok_or("is not a finite number")?.into()
        }
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(fields) => {
            let field = |(name, value): Named<'_>| {
                Ok::<_, String>((name.get_ref().to_string(), plain(value.get_ref())?))
            };
            Value::Object(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
    })
}
