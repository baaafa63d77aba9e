//! Which JSON field fills which field of a head.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::{
    Contexts, EventHead, Exception, Extra, FINGERPRINT_PARTS_MAX, Frame, Level, Mechanism, Message, Request,
    Sdk, Stacktrace, TAGS_MAX, Thread, TraceContext, User,
};
use crate::base::{EventId, Timestamp};
use crate::issues::lenient::{Field, FromFields, Scalar, Warnings, push_keeping_ends};

impl<'a> FromFields<'a> for EventHead<'a> {
    const PATH: &'static str = "event";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        let warnings = field.warnings;
        match key {
            "event_id" => self.event_id = event_id(field.text("event_id")?, warnings),
            "type" => self.event_type = field.text("type")?,
            "timestamp" => self.timestamp = timestamp(field.scalar("timestamp")?, warnings),
            "level" => self.level = level(field.text("level")?, warnings),
            "platform" => self.platform = field.text("platform")?,
            "logger" => self.logger = field.text("logger")?,
            "transaction" => self.transaction = field.text("transaction")?,
            "server_name" => self.server_name = field.text("server_name")?,
            "release" => self.release = field.text("release")?,
            "dist" => self.dist = field.text("dist")?,
            "environment" => self.environment = field.text("environment")?,
            "message" | "logentry" | "sentry.interfaces.Message" => {
                if let Some(message) = field.object::<Message<'a>>()? {
                    self.message.complete(message, key == "logentry");
                }
            }
            "exception" | "sentry.interfaces.Exception" => self.exceptions = field.values()?,
            "threads" => self.threads = field.values()?,
            "stacktrace" | "sentry.interfaces.Stacktrace" => {
                self.stacktrace = field.object()?.unwrap_or_default();
            }
            "tags" => self.tags = field.pairs("tags", TAGS_MAX)?,
            "user" | "sentry.interfaces.User" => self.user = field.object()?.unwrap_or_default(),
            "request" | "sentry.interfaces.Http" => self.request = field.object()?.unwrap_or_default(),
            "fingerprint" => self.fingerprint = field.texts("fingerprint", FINGERPRINT_PARTS_MAX)?,
            "sdk" => self.sdk = field.object()?.unwrap_or_default(),
            "extra" => self.extra = field.object()?.unwrap_or_default(),
            "contexts" => self.contexts = field.object()?.unwrap_or_default(),
            _ => field.skip()?,
        }
        Ok(())
    }
}

fn event_id(text: Option<Cow<'_, str>>, warnings: &Warnings) -> Option<EventId> {
    let text = text?;
    let id = EventId::parse(&text);
    if id.is_none() {
        warnings.add("event_id", "not 32 hex digits");
    }
    id
}

fn level(text: Option<Cow<'_, str>>, warnings: &Warnings) -> Option<Level> {
    let text = text?;
    let level = Level::parse(&text);
    if level.is_none() {
        warnings.add("level", "not one of fatal, error, warning, info, debug");
    }
    level
}

fn timestamp(value: Option<Scalar<'_>>, warnings: &Warnings) -> Option<Timestamp> {
    let at = match value? {
        Scalar::Int(secs) => {
            (0..=Timestamp::MAX.as_secs()).contains(&secs).then(|| Timestamp::from_secs(secs))
        }
        Scalar::Float(secs) => Timestamp::from_secs_f64(secs),
        Scalar::Text(text) => Timestamp::parse_rfc3339(&text)
            .or_else(|| text.trim().parse().ok().and_then(Timestamp::from_secs_f64)),
        Scalar::Bool(_) => None,
    };
    if at.is_none() {
        warnings.add("timestamp", "not a time between 1970 and 9999");
    }
    at
}

impl<'a> FromFields<'a> for Message<'a> {
    const PATH: &'static str = "logentry";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "message" => self.template = field.text("logentry.message")?,
            "formatted" => self.formatted = field.text("logentry.formatted")?,
            _ => field.skip()?,
        }
        Ok(())
    }

    fn take_scalar(&mut self, scalar: Scalar<'a>) -> bool {
        self.formatted = Some(scalar.into_text()).filter(|text| !text.is_empty());
        true
    }
}

impl<'a> FromFields<'a> for Exception<'a> {
    const PATH: &'static str = "exception";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "type" => self.error_type = field.text("exception.type")?,
            "value" => self.value = field.text("exception.value")?,
            "module" => self.module = field.text("exception.module")?,
            "mechanism" => self.mechanism = field.object()?.unwrap_or_default(),
            "stacktrace" => self.stacktrace = field.object()?.unwrap_or_default(),
            _ => field.skip()?,
        }
        Ok(())
    }

    fn take_scalar(&mut self, scalar: Scalar<'a>) -> bool {
        self.value = Some(scalar.into_text()).filter(|text| !text.is_empty());
        true
    }
}

impl<'a> FromFields<'a> for Mechanism<'a> {
    const PATH: &'static str = "exception.mechanism";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = field.text("exception.mechanism.type")?,
            "handled" => self.handled = field.bool("exception.mechanism.handled")?,
            "synthetic" => self.synthetic = field.bool("exception.mechanism.synthetic")?.unwrap_or(false),
            "is_exception_group" => {
                self.is_exception_group =
                    field.bool("exception.mechanism.is_exception_group")?.unwrap_or(false);
            }
            "exception_id" => self.exception_id = field.int("exception.mechanism.exception_id")?,
            "parent_id" => self.parent_id = field.int("exception.mechanism.parent_id")?,
            _ => field.skip()?,
        }
        Ok(())
    }

    fn take_scalar(&mut self, scalar: Scalar<'a>) -> bool {
        self.kind = Some(scalar.into_text());
        true
    }
}

impl<'a> FromFields<'a> for Stacktrace<'a> {
    const PATH: &'static str = "stacktrace";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "frames" => self.frames = field.values()?,
            _ => field.skip()?,
        }
        Ok(())
    }
}

impl<'a> FromFields<'a> for Frame<'a> {
    const PATH: &'static str = "frame";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "function" => self.function = field.text("frame.function")?,
            "raw_function" => self.raw_function = field.text("frame.raw_function")?,
            "module" => self.module = field.text("frame.module")?,
            "filename" => self.filename = field.text("frame.filename")?,
            "abs_path" => self.abs_path = field.text("frame.abs_path")?,
            "package" => self.package = field.text("frame.package")?,
            "lineno" => self.lineno = field.int("frame.lineno")?,
            "colno" => self.colno = field.int("frame.colno")?,
            "in_app" => self.in_app = field.bool("frame.in_app")?,
            "context_line" => self.context_line = field.text("frame.context_line")?,
            "platform" => self.platform = field.text("frame.platform")?,
            "instruction_addr" => self.instruction_addr = field.text("frame.instruction_addr")?,
            "image_addr" => self.image_addr = field.text("frame.image_addr")?,
            _ => field.skip()?,
        }
        Ok(())
    }

    fn add_to(list: &mut Vec<Self>, item: Self) {
        /// Enough for 50 frames nearest the crash under any recursion worth telling apart.
        const FRAMES_MAX: usize = 128;
        push_keeping_ends(list, item, FRAMES_MAX);
    }
}

impl<'a> FromFields<'a> for Thread<'a> {
    const PATH: &'static str = "threads";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "crashed" => self.crashed = field.bool("threads.crashed")?.unwrap_or(false),
            "current" => self.current = field.bool("threads.current")?.unwrap_or(false),
            "stacktrace" => self.stacktrace = field.object()?.unwrap_or_default(),
            _ => field.skip()?,
        }
        Ok(())
    }

    /// Keeps the one that matters most, the first of equals.
    fn add_to(list: &mut Vec<Self>, item: Self) {
        match list.first_mut() {
            Some(best) if best.rank() >= item.rank() => {}
            Some(best) => *best = item,
            None => list.push(item),
        }
    }
}

impl<'a> FromFields<'a> for User<'a> {
    const PATH: &'static str = "user";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "id" => self.id = field.text("user.id")?,
            "email" => self.email = field.text("user.email")?,
            "username" => self.username = field.text("user.username")?,
            "ip_address" => self.ip_address = field.text("user.ip_address")?,
            _ => field.skip()?,
        }
        Ok(())
    }
}

impl<'a> FromFields<'a> for Request<'a> {
    const PATH: &'static str = "request";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "url" => self.url = field.text("request.url")?,
            "method" => self.method = field.text("request.method")?,
            _ => field.skip()?,
        }
        Ok(())
    }
}

impl<'a> FromFields<'a> for Sdk<'a> {
    const PATH: &'static str = "sdk";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "name" => self.name = field.text("sdk.name")?,
            "version" => self.version = field.text("sdk.version")?,
            _ => field.skip()?,
        }
        Ok(())
    }
}

impl<'a> FromFields<'a> for Contexts<'a> {
    const PATH: &'static str = "contexts";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "trace" => self.trace = field.object()?.unwrap_or_default(),
            _ => field.skip()?,
        }
        Ok(())
    }
}

impl<'a> FromFields<'a> for TraceContext<'a> {
    const PATH: &'static str = "contexts.trace";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "trace_id" => self.trace_id = field.text("contexts.trace.trace_id")?,
            _ => field.skip()?,
        }
        Ok(())
    }
}

impl<'a> FromFields<'a> for Extra<'a> {
    const PATH: &'static str = "extra";

    fn take<A: MapAccess<'a>>(&mut self, key: &str, field: Field<'_, '_, A>) -> Result<(), A::Error> {
        match key {
            "class" => self.class = own_word(field)?,
            "severity" => self.severity = own_word(field)?,
            "code" => self.code = own_word(field)?,
            _ => field.skip()?,
        }
        Ok(())
    }
}

/// An application's own field: whatever it holds is right, only a short text means something to us.
fn own_word<'a, A: MapAccess<'a>>(field: Field<'_, '_, A>) -> Result<Option<Cow<'a, str>>, A::Error> {
    let unheard = Warnings::default();
    let Field { map, .. } = field;
    Field { map, warnings: &unheard }.text("extra")
}
