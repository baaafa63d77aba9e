//! The bare limit of probing: a plain GET over a connection of its own at even intervals, read to its end. Nothing is
//! judged, kept or shown.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Watching;
use super::answers::{ANSWER, ANSWER_WITHIN};

/// Asks `target` as `wanted` says until it is killed.
pub(crate) fn ask(target: SocketAddr, wanted: Watching) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let (start, mut asking) = (Instant::now(), JoinSet::new());
        for number in 0..wanted.probes {
            asking.spawn(again_and_again(target, number, start, wanted));
        }
        asking.join_next().await.context("nothing to ask")??
    })
}

async fn again_and_again(target: SocketAddr, number: u32, start: Instant, wanted: Watching) -> Result<()> {
    let mut due = start + wanted.interval * number / wanted.probes;
    loop {
        tokio::time::sleep_until(due).await;
        tokio::time::timeout(ANSWER_WITHIN, once(target, number)).await??;
        due += wanted.interval;
    }
}

async fn once(target: SocketAddr, number: u32) -> Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    stream.write_all(format!("GET /{number} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::with_capacity(ANSWER.len());
    while answer.len() < ANSWER.len() {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the answer broke off");
    }
    Ok(())
}
