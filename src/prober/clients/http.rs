//! Requests over HTTP and HTTPS, one connection each.

mod answer;
mod exchange;
mod request;

pub(super) use exchange::Conversation;
use hyper::body::Body as _;
use request::Request;

use super::dial::{self, Distrusted};
use super::question::{Looking, With};
use super::trust::UNVOUCHED;
use super::wire::{Marks, Wire};
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::Http;

/// Status line and headers, and what is read at once of the body.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Everything until the answer has begun: one head, with what is read beyond it, or many that only say that an answer is
/// to come (1xx).
const BEGINNING_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;
/// Of an address that an answer leads to.
const ADDRESS_CHARS_MAX: usize = 200;

/// Asks, and follows redirects as far as the target wants.
pub(super) async fn ask(target: &Http, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let mut request = Request::of(target)?;
    let distrusted = if target.verify { Distrusted::Refused } else { Distrusted::Taken };
    let mut passed: Vec<(String, String)> = Vec::new();
    loop {
        let mut conversation = begin(&request, distrusted, with, looking).await?;
        answer::state_head(&conversation.response, looking);
        looking.sample.lines.splice(0..0, passed.iter().cloned());
        let next = match target.redirects {
            0 => None,
            _ => request.redirected(conversation.response.status(), conversation.response.headers())?,
        };
        match next {
            None => return finish(&mut conversation, target, looking).await,
            Some(next) if passed.len() == usize::from(target.redirects) => {
                let last = looking.quote(&next.shown(), ADDRESS_CHARS_MAX);
                let reason = format!("more than {} redirects, the last to {last}", target.redirects);
                return Err(Failed { phase: Phase::Answer, reason, may_be_ours: false });
            }
            Some(next) => {
                passed.push(("redirected from".to_owned(), request.shown()));
                request = next;
            }
        }
    }
}

/// Dials, sends, and waits for the head of the answer.
async fn begin(
    request: &Request,
    distrusted: Distrusted,
    with: With<'_>,
    looking: &mut Looking,
) -> Result<Conversation, Failed> {
    let stream = dial::connect(request.host(), request.port(), with.reach, looking).await?;
    let marks = looking.marks.clone();
    let wire = if request.is_encrypted() {
        let trust = with.trust.for_http();
        let encrypted = dial::encrypt(stream, request.host(), &trust, distrusted, looking).await;
        let (stream, _) = encrypted.map_err(with_own_cure)?;
        Wire::encrypted(stream, marks)
    } else {
        Wire::plain(stream, marks)
    };
    looking.phase = Phase::Answer;
    looking.marks.begin(Some(BEGINNING_BYTES_MAX));
    let begun = Conversation::begin(wire, request.to_hyper()?).await;
    add_answer_time(&looking.marks, &mut looking.phases.answer);
    looking.marks.lift();
    begun
}

/// Only here a certificate can be taken as it is.
fn with_own_cure(failed: Failed) -> Failed {
    if failed.reason == UNVOUCHED {
        Failed { reason: format!("{UNVOUCHED}, or set `verify = false`"), ..failed }
    } else {
        failed
    }
}

/// Redirects are answers too; it took as long as all of them.
fn add_answer_time(marks: &Marks, answer: &mut Option<std::time::Duration>) {
    if let Some(time) = marks.answer_time() {
        *answer = Some(answer.unwrap_or_default() + time);
    }
}

/// Reads the body as far as wanted and hangs up.
async fn finish(conversation: &mut Conversation, target: &Http, looking: &mut Looking) -> Result<(), Failed> {
    looking.phase = Phase::Transfer;
    let bytes_max = usize::from(target.body_kb) * 1024;
    let read = read_body(conversation, bytes_max, &mut looking.body).await;
    looking.phases.transfer = looking.marks.transfer_time();
    looking.state_time("time.first_byte", looking.phases.answer);
    looking.state_time("time.transfer", looking.phases.transfer);
    let is_whole = read?;
    answer::state_body(is_whole, looking);
    Ok(())
}

/// Whether that was the whole body. What comes after `bytes_max` is never asked for.
async fn read_body(
    conversation: &mut Conversation,
    bytes_max: usize,
    body: &mut Vec<u8>,
) -> Result<bool, Failed> {
    while let Some(chunk) = conversation.next_chunk().await? {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(false);
        }
        // Waiting for a byte that is not wanted could take for ever.
        if body.len() == bytes_max && !conversation.response.body().is_end_stream() {
            return Ok(false);
        }
    }
    Ok(true)
}
