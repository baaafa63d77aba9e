//! What the rows set up through the JSON API, as anybody would.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Watching;
use super::answers::ANSWER_WITHIN;
use crate::product::Product;
use crate::wire::Wire;

/// Requests under way at once while things are made: each waits for its commit.
const MAKERS: u32 = 16;
/// Pages of a list that are read at most.
const LIST_PAGES_MAX: usize = 100;

pub(crate) struct Asking {
    address: SocketAddr,
    pub(crate) token: String,
}

impl Asking {
    pub(crate) fn new(product: &Product) -> Result<Self> {
        product.create_project("bench")?;
        Ok(Self { address: product.server.address, token: product.create_token("read,write,admin")? })
    }

    pub(crate) async fn make_probes(&self, wanted: Watching, target: SocketAddr) -> Result<()> {
        let interval = format!("{}s", wanted.interval.as_secs());
        let bodies = (0..wanted.probes).map(|n| {
            json!({
                "key": format!("probe-{n}"), "name": format!("Probe {n}"), "project": "bench",
                "definition": {
                    "target": {"kind": "http", "url": format!("http://{target}/{n}")},
                    "conditions": ["status < 300", "body.status == 'ok'"],
                    "policy": {"interval": interval, "retry_interval": "2s", "timeout": format!("{}s", ANSWER_WITHIN.as_secs()), "bad": 2, "of": 3, "good": 2},
                },
            })
        });
        self.post_all("/api/v1/probes", bodies.collect()).await.map(drop)
    }

    pub(crate) async fn make_services(&self, services: u32, members: u32) -> Result<()> {
        let bodies = (0..services).map(|n| {
            let members: Vec<_> = (0..members).map(|m| format!("probe-{}", n * members + m)).collect();
            json!({
                "key": format!("service-{n}"), "name": format!("Service {n}"), "project": "bench",
                "needs": "any", "critical": true, "members": members,
            })
        });
        self.post_all("/api/v1/services", bodies.collect()).await.map(drop)
    }

    /// Their outside ids.
    pub(crate) async fn make_heartbeats(&self, count: usize) -> Result<Vec<String>> {
        let bodies = (0..count).map(|n| json!({"project": "bench", "slug": format!("job-{n}")}));
        let made = self.post_all("/api/v1/heartbeats", bodies.collect()).await?;
        made.iter()
            .map(|one| {
                Ok(one["ping_url"]
                    .as_str()
                    .context("no address")?
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned())
            })
            .collect()
    }

    /// What all heartbeats say that they were pinged.
    pub(crate) async fn pings_counted(&self) -> Result<f64> {
        let (mut wire, mut sum, mut cursor) = (Wire::new(self.address), 0.0, String::new());
        for _ in 0..LIST_PAGES_MAX {
            let path = format!("/api/v1/heartbeats?limit=100{cursor}");
            let reply = wire.get(&path, &format!("Authorization: Bearer {}", self.token)).await?;
            ensure!(reply.status == 200, "GET {path} answered {}", reply.status);
            let page: Value = serde_json::from_slice(reply.body)?;
            let items = page["items"].as_array().context("a list without items")?;
            sum += items.iter().filter_map(|item| item["pings"].as_f64()).sum::<f64>();
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(sum),
            }
        }
        Ok(sum)
    }

    async fn post_all(&self, path: &'static str, bodies: Vec<Value>) -> Result<Vec<Value>> {
        let share = bodies.len().div_ceil(MAKERS as usize).max(1);
        let mut making = JoinSet::new();
        for part in bodies.chunks(share) {
            making.spawn(post_each(self.address, self.token.clone(), path, part.to_vec()));
        }
        let mut made = Vec::with_capacity(bodies.len());
        while let Some(part) = making.join_next().await {
            made.extend(part.context("a maker's task ended early")??);
        }
        Ok(made)
    }
}

async fn post_each(address: SocketAddr, token: String, path: &str, bodies: Vec<Value>) -> Result<Vec<Value>> {
    let (mut wire, mut made) = (Wire::new(address), Vec::with_capacity(bodies.len()));
    for body in bodies {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = wire.exchange(request.as_bytes()).await?;
        let said = String::from_utf8_lossy(reply.body);
        ensure!(reply.status == 201, "POST {path} answered {}: {said}", reply.status);
        made.push(serde_json::from_slice(reply.body)?);
    }
    Ok(made)
}
