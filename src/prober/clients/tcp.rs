//! A connection, and a dialogue over it.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::question::{Looking, With};
use super::wire::{Encryption, Wire};
use crate::base::text::first_line;
use crate::probes::condition::Value;
use crate::probes::seen::Failed;
use crate::probes::target::{Tcp, bytes_of};

/// All answers of one dialogue: a banner or a page of statistics, and no download.
const ANSWERS_BYTES_MAX: usize = 64 * 1024;
/// Read at a time.
const CHUNK_BYTES: usize = 4 * 1024;
/// Of texts that a reason repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// Connects, and holds the dialogue where there is one.
pub(super) async fn ask(target: &Tcp, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let encryption = if target.tls { Encryption::Tls } else { Encryption::None };
    let wire = Wire::open((&target.host, target.port), encryption, with, looking).await?;
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
            looking.sample.lines.push(("sent".to_owned(), text_of(&bytes)));
            dialogue.say(&bytes, looking).await?;
        }
        if let Some(expect) = &turn.expect {
            let after = dialogue.hear(&read(expect)?, looking).await?;
            looking.phases.answer = Some(looking.phases.answer.unwrap_or_default() + began.elapsed());
            state_answer(after, looking);
        }
    }
    Ok(())
}

/// What was said; what lies behind the expected text is left for the next turn.
fn state_answer(after: usize, looking: &mut Looking) {
    let heard = text_of(&looking.body);
    looking.sample.lines.push(("heard".to_owned(), heard.clone()));
    first_line(&heard).clone_into(&mut looking.sample.head);
    looking.facts.set("answer", Value::Text(heard));
    looking.body.drain(..after);
}

impl Dialogue {
    async fn say(&mut self, bytes: &[u8], looking: &Looking) -> Result<(), Failed> {
        let said = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        said.await.map_err(|error| looking.broken(&error))
    }

    /// Reads until `wanted` stands in what came; where it ends.
    async fn hear(&mut self, wanted: &[u8], looking: &mut Looking) -> Result<usize, Failed> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&looking.body[searched..], wanted) {
                return Ok(searched + at + wanted.len());
            }
            // The text may stand across the border of two pieces.
            searched = looking.body.len().saturating_sub(wanted.len().saturating_sub(1));
            let mut chunk = [0; CHUNK_BYTES];
            let length = self.wire.read(&mut chunk).await.map_err(|error| looking.broken(&error))?;
            if length == 0 {
                return Err(without("the connection was closed", wanted, looking));
            }
            if length > self.room {
                return Err(without("64 KiB came", wanted, looking));
            }
            self.room -= length;
            looking.body.extend_from_slice(&chunk[..length]);
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1)).position(|window| window == wanted)
}

fn without(end: &str, wanted: &[u8], looking: &Looking) -> Failed {
    let quote = |bytes: &[u8]| looking.quote(&text_of(bytes), QUOTED_CHARS_MAX);
    let (wanted, came) = (quote(wanted), quote(&looking.body));
    looking.failed(match came.as_str() {
        "" => format!("{end} without “{wanted}”, and nothing came"),
        came => format!("{end} without “{wanted}”, after “{came}”"),
    })
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
