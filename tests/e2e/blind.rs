//! tocsin itself could not see: its uplink was cut, or it was not running. Nobody else is blamed for that.

mod away;
mod uplink;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{api::Api, server::Server};

/// A turn of every loop that looks, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// The shortest that a heartbeat may have.
const PERIOD: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_mins(1);

/// A heartbeat of the first project; hands out what its pings carry.
fn heartbeat(api: &Api, slug: &str, schedule: &Value) -> String {
    let mut new = json!({"project": "default", "slug": slug, "grace": "60s", "too_early": "off"});
    new.as_object_mut().expect("it is one").extend(schedule.as_object().expect("it is one").clone());
    let made = api.write(Method::POST, "/api/v1/heartbeats", &new);
    let url = made["ping_url"].as_str().expect("a heartbeat has an address");
    url.rsplit('/').next().expect("its last part").to_owned()
}

fn ping(server: &Server, id: &str, end: &str) {
    let answer = server.stranger().try_get(&format!("/ping/{id}{end}")).expect("the server answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn summaries(api: &Api) -> Vec<String> {
    let all = api.list("/api/v1/incidents");
    all.iter().filter_map(|one| one["summary"].as_str().map(str::to_owned)).collect()
}
