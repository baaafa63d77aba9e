//! How long the pages take that show lists, with ten thousand rows behind each.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::product::{Product, Settings};
use crate::runs::fresh_folder;
use crate::wire::{Target, Wire};

/// The pages: what is measured, and where it is.
pub(crate) const PAGES: [(&str, &str); 6] = [
    ("pages: / p95, ms", "/"),
    ("pages: /issues p95, ms", "/issues"),
    ("pages: /issues searched p95, ms", "/issues?query=gateway&sort=count"),
    ("pages: /incidents p95, ms", "/incidents"),
    ("pages: /outbox p95, ms", "/outbox"),
    ("pages: /ledger p95, ms", "/ledger?days=30"),
];
/// Readings of each page in a round.
const READINGS: usize = 20;
const ROWS: &str = include_str!("pages.sql");

/// Reads every page in turn, `rounds` times over; the times of a round per page.
pub(crate) async fn times(rounds: usize) -> Result<Vec<Vec<Vec<Duration>>>> {
    let temporary = fresh_folder()?;
    let folder = temporary.path().join("data");
    let product = Product::start(&folder, Settings::SHIPPED, None).await?;
    report_one(&product.create_project("bench")?).await?;
    product.stop().await?;
    rusqlite::Connection::open(folder.join("tocsin.db"))?.execute_batch(ROWS)?;
    let product = Product::start(&folder, Settings::SHIPPED, None).await?;
    let session = product.sign_in().await?;
    let mut all = vec![Vec::with_capacity(rounds); PAGES.len()];
    for _ in 0..rounds {
        for ((_, path), rounds) in PAGES.iter().zip(&mut all) {
            let mut times = Vec::with_capacity(READINGS);
            for _ in 0..READINGS {
                times.push(product.page_time(path, &session).await?);
            }
            rounds.push(times);
        }
    }
    product.stop().await?;
    Ok(all)
}

/// One error by the way without an SDK: the rows are made like what it leaves.
async fn report_one(target: &Target) -> Result<()> {
    let body = r#"{"error_type":"PaymentError","message":"gateway refused","severity":"high"}"#;
    let request = format!(
        "POST /api/v1/errors?sentry_key={} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        target.public_key,
        target.address,
        body.len(),
    );
    let mut wire = Wire::new(target.address);
    let reply = wire.exchange(request.as_bytes()).await?;
    ensure!(reply.status == 201, "the error was answered with {}", reply.status);
    Ok(())
}
