//! The HTML part of a mail: one column, inline styles (mail programs drop style sheets), no image, no script.

use std::fmt::Write as _;

use super::super::message::Message;
use super::super::plain::escape_html;
use crate::base::Severity;
use crate::incidents::Purpose;

const FONT: &str =
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const LABEL: &str = "padding:4px 16px 4px 0;color:#6b7280;vertical-align:top;white-space:nowrap";
const BUTTON: &str = "display:inline-block;padding:12px 24px;background:#1f2937;color:#ffffff;text-decoration:none;border-radius:6px;font-weight:600";

pub(super) fn html(message: &Message) -> String {
    let mut out = String::with_capacity(2048);
    let headline = escape_html(&message.headline);
    // Writing to a String cannot fail; the first failure would end the rest.
    let written = || -> Result<String, std::fmt::Error> {
        writeln!(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
        writeln!(
            out,
            "<meta name=\"viewport\" content=\"width=device-width\"><title>{headline}</title></head>"
        )?;
        writeln!(out, "<body style=\"margin:0;padding:16px;{FONT};font-size:16px;line-height:1.5\">")?;
        let color = color(message.severity, message.purpose);
        writeln!(out, "<div style=\"max-width:600px;border-left:4px solid {color};padding-left:16px\">")?;
        writeln!(out, "<p style=\"margin:0 0 12px;font-size:18px;font-weight:600\">{headline}</p>")?;
        facts(&mut out, message)?;
        if let Some(link) = &message.link {
            let (label, url) = (escape_html(link.label), escape_html(&link.url));
            writeln!(out, "<p style=\"margin:16px 0\"><a href=\"{url}\" style=\"{BUTTON}\">{label}</a></p>")?;
        }
        if let Some(note) = &message.note {
            writeln!(out, "<p style=\"margin:16px 0\">{}</p>", escape_html(note))?;
        }
        let sender = escape_html(&message.sender);
        writeln!(out, "<p style=\"margin:16px 0 0;color:#6b7280;font-size:14px\">{sender}</p>")?;
        writeln!(out, "</div></body></html>")?;
        Ok(out)
    };
    written().unwrap_or_default()
}

fn facts(out: &mut String, message: &Message) -> std::fmt::Result {
    writeln!(out, "<table role=\"presentation\" style=\"border-collapse:collapse\">")?;
    for line in &message.lines {
        let text = escape_html(&line.text);
        writeln!(
            out,
            "<tr><td style=\"{LABEL}\">{}</td><td style=\"padding:4px 0\">{text}</td></tr>",
            line.label
        )?;
    }
    writeln!(out, "</table>")?;
    for list in &message.lists {
        writeln!(out, "<p style=\"margin:16px 0 4px;font-weight:600\">{}</p>", escape_html(&list.title))?;
        writeln!(out, "<ul style=\"margin:0;padding-left:20px\">")?;
        for item in list.items.iter().chain(&list.more) {
            writeln!(out, "<li>{}</li>", escape_html(item))?;
        }
        writeln!(out, "</ul>")?;
    }
    Ok(())
}

const fn color(severity: Severity, purpose: Purpose) -> &'static str {
    match (purpose, severity) {
        (Purpose::Recovered, _) => "#15803d",
        (Purpose::Digest | Purpose::Test | Purpose::Account, _) | (_, Severity::Low) => "#6b7280",
        (_, Severity::Critical) => "#b91c1c",
        (_, Severity::High) => "#c2410c",
        (_, Severity::Medium) => "#a16207",
    }
}
