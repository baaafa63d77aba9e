//! Where log lines go and which of them.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::line::{Fields, Line};
use super::queue::{Drain, Queue};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Short text for a terminal.
    Text,
}

/// `serve` logs to standard output; every other command keeps that for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    Stderr,
}

#[derive(Clone, Copy, Debug)]
pub struct Logging {
    pub level: Level,
    pub format: Format,
    pub to: Destination,
}

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("logging was set up twice")]
    Twice,
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Sends every line of this process, also of libraries that use the `log` crate, to its destination. Keep what it returns
/// to the end of the process.
///
/// A span's fields stand in every line inside it: a request's span carries `request_id`. A server's lines go through a
/// bounded queue: where nobody takes them they are dropped and counted, and nobody waits.
///
/// # Errors
/// Where it was called before, or no thread can be started.
pub fn init(logging: &Logging) -> Result<Drain, InitError> {
    let format = logging.format;
    let (output, queue): (Box<dyn Write + Send>, _) = match logging.to {
        Destination::Stdout => {
            let queue = Queue::start(std::io::stdout(), move |lost| tell_lost(format, lost))?;
            (Box::new(queue.clone()), Some(queue))
        }
        Destination::Stderr => (Box::new(std::io::stderr()), None),
    };
    let lines = Lines { format, output: Mutex::new(output) };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter(logging.level)));
    subscriber.try_init().map_err(|_| InitError::Twice)?;
    Ok(Drain::of(queue))
}

fn tell_lost(format: Format, lost: u64) -> String {
    let message = format!("{lost} log lines were dropped: nobody took them in time");
    let at = now();
    let fields = Fields { message, ..Fields::default() };
    format.write(&Line { at: &at, level: Level::WARN, target: module_path!(), fields })
}

fn now() -> String {
    let mut at = String::new();
    // Writing to a String cannot fail.
    SystemTime.format_time(&mut Writer::new(&mut at)).ok();
    at
}

impl Format {
    fn write(self, line: &Line<'_>) -> String {
        match self {
            Self::Json => line.to_json(),
            Self::Text => line.to_text(),
        }
    }
}

/// Libraries never say more than warnings: their debug lines hold mail dialogues and request headers.
fn filter(level: Level) -> Targets {
    Targets::new().with_default(level.min(Level::WARN)).with_target("tocsin", level)
}

struct Lines {
    format: Format,
    output: Mutex<Box<dyn Write + Send>>,
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.values.extend(outer.values.clone());
            }
        }
        event.record(&mut fields);
        let (at, metadata) = (now(), event.metadata());
        let line = Line { at: &at, level: *metadata.level(), target: metadata.target(), fields };
        let text = self.format.write(&line);
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody left to tell when the log itself cannot be written.
        output.write_all(text.as_bytes()).ok();
        output.flush().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: Level, work: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let lines = Lines { format, output: Mutex::new(Box::new(buffer.clone())) };
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter(level)));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_its_fields_and_those_of_the_spans_around_it() {
        let text = logged(Format::Json, Level::INFO, || {
            let request = tracing::info_span!("request", request_id = "r-1", project = tracing::field::Empty);
            let _inside = request.enter();
            request.record("project", 7);
            tracing::warn!(store.batch_ms = 51_u64, "a batch was slow");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(text.starts_with("{\"timestamp\":\"2") && text.ends_with("}\n"), "{text}");
        for (name, value) in [
            ("level", serde_json::json!("warn")),
            ("target", "tocsin::telemetry::subscriber::tests".into()),
            ("message", "a batch was slow".into()),
            ("request_id", "r-1".into()),
            ("project", 7.into()),
            ("store.batch_ms", 51.into()),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
    }

    #[test]
    fn a_text_line_is_short_and_cannot_be_forged() {
        let text = logged(Format::Text, Level::INFO, || {
            tracing::info!(name = "a\nb\u{1b}[31m", count = 2, said = "two words", "hello\nworld");
        });
        let line = text.split_once(' ').unwrap().1;
        assert_eq!(line, "INFO  hello\\nworld  count=2 name=a\\nb\\u{1b}[31m said=\"two words\"\n");
    }

    #[test]
    fn secrets_and_the_chatter_of_libraries_stay_out() {
        let text = logged(Format::Json, Level::TRACE, || {
            tracing::info!(smtp_password = "pw-1", session_token = "t-1", "signed in");
            tracing::debug!(target: "lettre::transport", "AUTH PLAIN cHctMQ==");
            tracing::warn!(target: "lettre::transport", "refused");
        });
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("[hidden]") && !text.contains("pw-1") && !text.contains("t-1\""), "{text}");
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = logged(Format::Json, Level::INFO, || tracing::info!(value = "ä".repeat(5000), "long"));
        assert!(text.chars().count() < 2300 && text.contains('…'));
    }
}
