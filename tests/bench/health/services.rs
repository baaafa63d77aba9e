//! Questions for the health of services with members, at even intervals.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Watching;
use super::answers::Answers;
use super::asking::Asking;
use crate::load::{self, End, Load, Offer, Pace, Requests};
use crate::product::{Product, Settings};
use crate::runs::{fresh_folder, serve_bare};
use crate::wire::Wire;

/// As many connections as a few balancers and dashboards keep.
const CONNECTIONS: usize = 32;
const ASKED_PER_S: u32 = 1_000;
const SERVICES: u32 = 6;
const MEMBERS: u32 = 2;

pub(super) async fn product(run: Duration) -> Result<Load> {
    let folder = fresh_folder()?;
    let product = Product::start(&folder.path().join("data"), Settings::WATCHING, None).await?;
    let answers = Answers::start().await?;
    let asking = Asking::new(&product)?;
    let few = Watching {
        probes: SERVICES * MEMBERS,
        interval: Duration::from_secs(5),
        settle: Duration::from_secs(6),
        run,
    };
    asking.make_probes(few, answers.address).await?;
    asking.make_services(SERVICES, MEMBERS).await?;
    tokio::time::sleep(few.settle).await;
    let address = product.server.address;
    let request = request(address, &asking.token);
    let shown = Wire::new(address).exchange(&request).await?.body.to_vec();
    let shown: Value = serde_json::from_slice(&shown)?;
    let services = shown["services"].as_object().context("no services")?;
    let are_all = services.len() == SERVICES as usize;
    ensure!(are_all && shown["status"] == json!("healthy"), "not healthy: {shown}");
    let load = ask(address, request, run).await?;
    product.stop().await?;
    Ok(load)
}

pub(super) async fn bare(run: Duration) -> Result<Load> {
    let folder = fresh_folder()?;
    let server = serve_bare(folder.path(), None).await?;
    ask(server.address, request(server.address, "none"), run).await
}

fn request(address: SocketAddr, token: &str) -> Vec<u8> {
    format!("GET /api/health HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

async fn ask(address: SocketAddr, request: Vec<u8>, run: Duration) -> Result<Load> {
    let offer = Offer {
        connections: CONNECTIONS,
        pace: Pace::PerSecond(ASKED_PER_S),
        warm_up: Duration::from_secs(1),
        end: End::After(run),
    };
    load::run(address, Arc::new(Requests::Fixed(vec![request])), offer).await
}
