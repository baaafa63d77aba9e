//! A burst of pings, each on disk before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use uuid::Uuid;

use super::asking::Asking;
use crate::load::{self, End, Load, Offer, Pace, Requests};
use crate::product::{Product, Settings};
use crate::runs::{fresh_folder, serve_bare};

const HEARTBEATS: usize = 200;
const CONNECTIONS: usize = 256;

/// The load, and how many accepted pings the heartbeats do not count.
pub(super) async fn product(run: Duration) -> Result<(Load, f64)> {
    let folder = fresh_folder()?;
    let product = Product::start(&folder.path().join("data"), Settings::WATCHING, None).await?;
    let asking = Asking::new(&product)?;
    let uids = asking.make_heartbeats(HEARTBEATS).await?;
    let load = burst(product.server.address, &uids, run).await?;
    let counted = asking.pings_counted().await?;
    product.stop().await?;
    let missing = f64::from(load.accepted) - counted;
    Ok((load, missing))
}

pub(super) async fn bare(run: Duration) -> Result<Load> {
    let folder = fresh_folder()?;
    let server = serve_bare(folder.path(), None).await?;
    let uids: Vec<_> = (0..HEARTBEATS).map(|_| Uuid::from_u128(fastrand::u128(..)).to_string()).collect();
    burst(server.address, &uids, run).await
}

async fn burst(address: SocketAddr, uids: &[String], run: Duration) -> Result<Load> {
    let request = |uid: &String| format!("GET /ping/{uid} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let requests = Arc::new(Requests::Fixed(uids.iter().map(request).collect()));
    let offer = Offer {
        connections: CONNECTIONS,
        pace: Pace::AsAnswered,
        warm_up: Duration::ZERO,
        end: End::After(run),
    };
    load::run(address, requests, offer).await
}
