//! Badges: a picture of our own, drawn without asking anybody, and the JSON that shields.io draws from.

use serde_json::json;

use super::facts::{Facts, ServiceFacts};
use super::{Document, Documents};
use crate::base::figures::percent;
use crate::health::services::ServiceStatus;

/// What a badge shows; asked for with `?show=`, the first without it.
const KINDS: [(&str, Option<usize>); 4] =
    [("status", None), ("uptime-7", Some(7)), ("uptime-30", Some(30)), ("uptime-90", Some(90))];
/// Shields asks again after it; no sooner, it says.
const CACHE_SECONDS: u32 = 300;

pub(super) fn render(facts: &Facts, documents: &mut Documents) {
    for service in facts.services() {
        for (kind, days) in KINDS {
            let badge = Badge::of(service, days);
            for (end, content_type, body) in
                [("svg", "image/svg+xml", badge.svg()), ("json", "application/json", badge.shields())]
            {
                let path = format!("/badge/{}.{end}", service.badge);
                if days.is_none() {
                    documents.insert(path.clone(), Document::badge(content_type, body.clone()));
                }
                documents.insert(format!("{path}?show={kind}"), Document::badge(content_type, body));
            }
        }
    }
}

struct Badge {
    label: String,
    message: String,
    color: Color,
}

/// By name for shields, by value for us; white text on each has a contrast of 4.5 and more.
#[derive(Clone, Copy)]
enum Color {
    Green,
    Yellow,
    Red,
    Blue,
    Grey,
}

impl Badge {
    fn of(service: &ServiceFacts, days: Option<usize>) -> Self {
        let Some(days) = days else {
            let (message, color) = match service.status {
                ServiceStatus::Healthy => ("up", Color::Green),
                ServiceStatus::Degraded => ("degraded", Color::Yellow),
                ServiceStatus::Unhealthy => ("down", Color::Red),
                ServiceStatus::Maintenance => ("maintenance", Color::Blue),
                ServiceStatus::Unknown => ("not seen", Color::Grey),
            };
            return Self { label: service.title.clone(), message: message.to_owned(), color };
        };
        let share = service.times(days).uptime();
        let color = match share {
            None => Color::Grey,
            Some(share) if share >= 0.999 => Color::Green,
            Some(share) if share >= 0.99 => Color::Yellow,
            Some(_) => Color::Red,
        };
        let message = share.map_or_else(|| "no figure yet".to_owned(), percent);
        Self { label: format!("{} uptime {days} d", service.title), message, color }
    }

    fn shields(&self) -> String {
        let color = match self.color {
            Color::Green => "brightgreen",
            Color::Yellow => "yellow",
            Color::Red => "red",
            Color::Blue => "blue",
            Color::Grey => "lightgrey",
        };
        let body = json!({
            "schemaVersion": 1,
            "label": self.label,
            "message": self.message,
            "color": color,
            "isError": matches!(self.color, Color::Red),
            "cacheSeconds": CACHE_SECONDS,
        });
        body.to_string()
    }

    fn svg(&self) -> String {
        let fill = match self.color {
            Color::Green => "#156a2e",
            Color::Yellow => "#7d5300",
            Color::Red => "#b51f27",
            Color::Blue => "#1d5fbf",
            Color::Grey => "#57606a",
        };
        let (label, message) = (escape(&self.label), escape(&self.message));
        let (left, right) = (width(&self.label), width(&self.message));
        let whole = left + right;
        let (left_middle, right_middle) = (left / 2, left + right / 2);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" \
             aria-label=\"{label}: {message}\"><title>{label}: {message}</title>\
             <clipPath id=\"r\"><rect width=\"{whole}\" height=\"20\" rx=\"3\"/></clipPath><g clip-path=\"url(#r)\">\
             <rect width=\"{left}\" height=\"20\" fill=\"#3a3731\"/>\
             <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{fill}\"/></g>\
             <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
             <text x=\"{left_middle}\" y=\"14\" textLength=\"{}\">{label}</text>\
             <text x=\"{right_middle}\" y=\"14\" textLength=\"{}\">{message}</text></g></svg>",
            left - PADDING,
            right - PADDING,
        )
    }
}

/// Around a text, both sides together.
const PADDING: usize = 12;

/// About what Verdana takes at 11 px; the text is fitted into it.
fn width(text: &str) -> usize {
    let tenths: usize = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ' ' | '\'' | '|' => 36,
            'm' | 'w' | 'M' | 'W' | '%' => 100,
            c if c.is_ascii_uppercase() => 76,
            c if c.is_ascii() => 66,
            _ => 110,
        })
        .sum();
    tenths / 10 + PADDING
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
