//! A connection, and a dialogue over it.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dial::{self, Distrusted};
use super::question::{Looking, With};
use super::visible::visible_line;
use super::wire::Wire;
use crate::base::text::{clip, first_line};
use crate::probes::condition::Value;
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::{Tcp, bytes_of};

/// All answers of one dialogue: a banner or a page of statistics, and no download.
const ANSWERS_BYTES_MAX: usize = 64 * 1024;
/// Read at a time.
const CHUNK_BYTES: usize = 4 * 1024;
/// Of texts that a reason repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// Connects, and holds the dialogue where there is one.
pub(super) async fn ask(target: &Tcp, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let stream = dial::connect(&target.host, target.port, with.reach, looking).await?;
    let marks = looking.marks.clone();
    let wire = if target.tls {
        let (stream, _) =
            dial::encrypt(stream, &target.host, with.trust, Distrusted::Refused, looking).await?;
        Wire::encrypted(stream, marks)
    } else {
        Wire::plain(stream, marks)
    };
    looking.phase = Phase::Answer;
    looking.marks.begin(None);
    hold(Dialogue { wire, room: ANSWERS_BYTES_MAX }, target, looking).await
}

struct Dialogue {
    wire: Wire,
    /// Bytes that may still come.
    room: usize,
}

async fn hold(mut dialogue: Dialogue, target: &Tcp, looking: &mut Looking) -> Result<(), Failed> {
    let read = |text: &str| bytes_of(text).map_err(|bad| Failed::setup(format!("dialogue: {bad}")));
    for turn in &target.dialogue {
        let began = Instant::now();
        if let Some(send) = &turn.send {
            let bytes = read(send)?;
            looking.sample.lines.push(("sent".to_owned(), visible_line(&bytes)));
            dialogue.say(&bytes).await?;
        }
        if let Some(expect) = &turn.expect {
            let after = dialogue.hear(&read(expect)?, &mut looking.body).await?;
            looking.phases.answer = Some(looking.phases.answer.unwrap_or_default() + began.elapsed());
            state_answer(after, looking);
        }
    }
    Ok(())
}

/// What was said; what lies behind the expected text is left for the next turn.
fn state_answer(after: usize, looking: &mut Looking) {
    let heard = String::from_utf8_lossy(&looking.body).into_owned();
    looking.sample.lines.push(("heard".to_owned(), visible_line(&looking.body)));
    looking.sample.head = visible_line(first_line(&heard).as_bytes());
    looking.facts.set("answer", Value::Text(heard));
    looking.body.drain(..after);
}

impl Dialogue {
    async fn say(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        let said = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        said.await.map_err(|error| broken(&error))
    }

    /// Reads until `wanted` stands in what came; where it ends.
    async fn hear(&mut self, wanted: &[u8], came: &mut Vec<u8>) -> Result<usize, Failed> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&came[searched..], wanted) {
                return Ok(searched + at + wanted.len());
            }
            // The text may stand across the border of two pieces.
            searched = came.len().saturating_sub(wanted.len().saturating_sub(1));
            let mut chunk = [0; CHUNK_BYTES];
            let length = self.wire.read(&mut chunk).await.map_err(|error| broken(&error))?;
            if length == 0 {
                return Err(without("the connection was closed", wanted, came));
            }
            if length > self.room {
                return Err(without("64 KiB came", wanted, came));
            }
            self.room -= length;
            came.extend_from_slice(&chunk[..length]);
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1)).position(|window| window == wanted)
}

fn broken(error: &std::io::Error) -> Failed {
    Failed { phase: Phase::Answer, reason: dial::io_reason(error), may_be_ours: dial::is_uplink_like(error) }
}

fn without(end: &str, wanted: &[u8], came: &[u8]) -> Failed {
    let wanted = visible_line(wanted);
    let (wanted, came) = (clip(&wanted, QUOTED_CHARS_MAX), visible_line(came));
    let reason = match came.as_str() {
        "" => format!("{end} without “{wanted}”, and nothing came"),
        came => format!("{end} without “{wanted}”, after “{}”", clip(came, QUOTED_CHARS_MAX)),
    };
    Failed { phase: Phase::Answer, reason, may_be_ours: false }
}
