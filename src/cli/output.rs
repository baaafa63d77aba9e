//! Where a command's words go.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

/// Standard output for the answer, standard error for all else; buffers in tests.
pub struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// The answer is read by a person.
    pub is_terminal: bool,
}

impl Output {
    pub fn standard() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { out: Box::new(io::stdout()), err: Box::new(io::stderr()), is_terminal }
    }

    pub fn to(out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self { out, err, is_terminal: false }
    }

    /// A line, or several, of the answer.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// The answer as one JSON document in one line.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        self.say(&text)
    }

    /// A line beside the answer.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{text}")?;
        self.err.flush()
    }

    /// Text in columns; the last one is not padded. Widths count characters.
    pub fn table(&mut self, rows: &[Vec<String>]) -> io::Result<()> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()
    }
}
