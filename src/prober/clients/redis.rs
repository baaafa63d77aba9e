//! Redis: sign-in, PING, INFO, and one key.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Map, Value as Json};

use super::lines::Lines;
use super::question::{Looking, With};
use super::wire::{Encryption, Wire};
use crate::probes::condition::{Tree, Unit, Value};
use crate::probes::seen::Failed;
use crate::probes::target::{Redis, RedisAddress};

/// Everything that is read; INFO takes a few kilobytes.
const BYTES_MAX: usize = 1024 * 1024;
/// Of a line, which is a status, an error or a number.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// Of an error that is repeated in an alarm.
const REASON_CHARS_MAX: usize = 200;
/// What a sample shows of INFO.
const SHOWN: [&str; 8] = [
    "redis_version",
    "role",
    "used_memory_human",
    "maxmemory_human",
    "maxmemory_policy",
    "connected_clients",
    "evicted_keys",
    "uptime_in_seconds",
];

pub(super) async fn ask(target: &Redis, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let address = RedisAddress::parse(&target.url).map_err(|bad| Failed::setup(format!("url: {bad}")))?;
    let place = (address.url.host.as_str(), address.port());
    let encryption = if address.is_encrypted { Encryption::Tls } else { Encryption::None };
    let wire = Wire::open(place, encryption, with, looking).await?;
    let mut session = Session { lines: Lines::new(wire, BYTES_MAX) };
    session.sign_in(&address, looking).await?;
    session.ping(looking).await?;
    session.info(looking).await?;
    if let Some(key) = &target.key {
        session.look_at(key, looking).await?;
    }
    Ok(())
}

struct Session {
    lines: Lines,
}

/// An answer as RESP2 has it, as far as the commands here have it.
#[derive(Clone, Debug, PartialEq)]
enum Reply {
    Status(String),
    Error(String),
    Number(i64),
    /// `None`: there is no such thing.
    Text(Option<Vec<u8>>),
}

impl Session {
    async fn sign_in(&mut self, address: &RedisAddress, looking: &Looking) -> Result<(), Failed> {
        if let Some(password) = &address.url.password {
            let answer = match address.url.user.as_str() {
                "" => self.call(&["AUTH", password], looking).await?,
                user => self.call(&["AUTH", user, password], looking).await?,
            };
            answer.ok(looking)?;
        }
        if address.database != 0 {
            self.call(&["SELECT", &address.database.to_string()], looking).await?.ok(looking)?;
        }
        Ok(())
    }

    async fn ping(&mut self, looking: &mut Looking) -> Result<(), Failed> {
        let began = Instant::now();
        let answer = self.call(&["PING"], looking).await?;
        let took = began.elapsed();
        answer.ok(looking)?;
        looking.phases.answer = Some(took);
        looking.facts.set("time.ping", Value::seconds(took.as_secs_f64()));
        "PONG".clone_into(&mut looking.sample.head);
        Ok(())
    }

    /// A server may keep INFO from some users; then it is not known, and that is no failure.
    async fn info(&mut self, looking: &mut Looking) -> Result<(), Failed> {
        match self.call(&["INFO"], looking).await? {
            Reply::Text(Some(text)) => {
                let info = parse_info(&String::from_utf8_lossy(&text));
                state(&info, looking);
                looking.facts.set_tree("info", Tree::of_json(Json::Object(info)));
                Ok(())
            }
            Reply::Error(reason) if reason.starts_with("NOPERM") || reason.starts_with("ERR unknown") => {
                looking.sample.lines.push(("info".to_owned(), format!("not shown: {reason}")));
                Ok(())
            }
            other => Err(other.unexpected(looking)),
        }
    }

    async fn look_at(&mut self, key: &str, looking: &mut Looking) -> Result<(), Failed> {
        let kind = match self.call(&["TYPE", key], looking).await? {
            Reply::Status(kind) => kind,
            other => return Err(other.unexpected(looking)),
        };
        let exists = kind != "none";
        looking.facts.set("key.exists", Value::Flag(exists));
        looking.facts.set("key.type", Value::Text(kind.clone()));
        let command = match kind.as_str() {
            "string" => Some("STRLEN"),
            "list" => Some("LLEN"),
            "set" => Some("SCARD"),
            "zset" => Some("ZCARD"),
            "hash" => Some("HLEN"),
            "stream" => Some("XLEN"),
            // Nothing there, or a type that a module brings.
            _ => None,
        };
        let length = match command {
            Some(command) => match self.call(&[command, key], looking).await? {
                Reply::Number(length) => Some(length),
                other => return Err(other.unexpected(looking)),
            },
            // A queue that ran empty is not there.
            None => (!exists).then_some(0),
        };
        let said = length.map_or_else(|| kind.clone(), |length| format!("{kind}, {length} long"));
        looking.sample.lines.push(("key".to_owned(), format!("{key}, {said}")));
        if let Some(length) = length {
            #[expect(clippy::cast_precision_loss, reason = "nobody compares lengths beyond 2^53")]
            looking.facts.set("key.length", Value::plain(length as f64));
        }
        Ok(())
    }

    async fn call(&mut self, words: &[&str], looking: &Looking) -> Result<Reply, Failed> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            // Writing to a String cannot fail.
            write!(command, "${}\r\n{word}\r\n", word.len()).ok();
        }
        self.lines.write(command.as_bytes(), looking).await?;
        self.reply(looking).await
    }

    async fn reply(&mut self, looking: &Looking) -> Result<Reply, Failed> {
        let line = self.lines.line(LINE_BYTES_MAX, looking).await?;
        let line = String::from_utf8_lossy(&line);
        let strange =
            || looking.failed(format!("what answers is no Redis: it says “{}”", looking.quote(&line, 60)));
        let mut chars = line.chars();
        let (kind, rest) = (chars.next(), chars.as_str());
        match kind {
            Some('+') => Ok(Reply::Status(rest.to_owned())),
            Some('-') => Ok(Reply::Error(rest.to_owned())),
            Some(':') => rest.parse().map(Reply::Number).map_err(|_| strange()),
            Some('$') => match rest.parse::<i64>().map_err(|_| strange())? {
                -1 => Ok(Reply::Text(None)),
                length => {
                    let length = usize::try_from(length).map_err(|_| strange())?;
                    let text = self.lines.bytes(length.saturating_add(2), looking).await?;
                    Ok(Reply::Text(Some(text[..length].to_vec())))
                }
            },
            _ => Err(strange()),
        }
    }
}

impl Reply {
    fn ok(self, looking: &Looking) -> Result<(), Failed> {
        match self {
            Self::Status(_) => Ok(()),
            other @ (Self::Error(_) | Self::Number(_) | Self::Text(_)) => Err(other.unexpected(looking)),
        }
    }

    fn unexpected(self, looking: &Looking) -> Failed {
        let Self::Error(reason) = self else {
            return looking.failed("what answers is no Redis: it answers another question");
        };
        let reason = looking.quote(&reason, REASON_CHARS_MAX);
        let cure = match reason.split(' ').next() {
            Some("NOAUTH") => " Write the password into the address: redis://:{{password}}@host.",
            _ => "",
        };
        looking.failed(format!("{reason}{cure}"))
    }
}

/// `name:value` per line. Numbers are numbers, and `keys=1,expires=0` is an object.
fn parse_info(text: &str) -> Map<String, Json> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), info_value(value.trim())))
        .collect()
}

fn info_value(value: &str) -> Json {
    let parts: Option<Map<String, Json>> = value
        .split(',')
        .map(|part| part.split_once('=').map(|(name, value)| (name.to_owned(), info_number(value))))
        .collect();
    parts.map_or_else(|| info_number(value), Json::Object)
}

fn info_number(value: &str) -> Json {
    serde_json::from_str(value).ok().filter(Json::is_number).unwrap_or_else(|| Json::String(value.to_owned()))
}

fn state(info: &Map<String, Json>, looking: &mut Looking) {
    let number = |name: &str| info.get(name).and_then(Json::as_f64);
    if let Some(used) = number("used_memory") {
        looking.facts.set("used_memory", Value::Number(used, Unit::Bytes));
        if let Some(most) = number("maxmemory").filter(|most| *most > 0.0) {
            looking.facts.set("memory.used", Value::Number(used / most * 100.0, Unit::Percent));
        }
    }
    if let Some(clients) = number("connected_clients") {
        looking.facts.set("clients", Value::plain(clients));
    }
    if let Some(role) = info.get("role").and_then(Json::as_str) {
        looking.facts.set("role", Value::Text(role.to_owned()));
    }
    for name in SHOWN {
        if let Some(value) = info.get(name) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            looking.sample.lines.push((name.to_owned(), text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_by_its_names() {
        let info = parse_info(
            "# Server\r\nredis_version:7.0.15\r\nused_memory:1000\r\nmaxmemory:4000\r\nrole:master\r\nconnected_clients:3\r\n\r\ndb0:keys=5,expires=1,avg_ttl=0\r\nrdb_last_bgsave_status:ok\r\nmem_fragmentation_ratio:1.25\r\n",
        );
        let mut looking = Looking::new(crate::base::Timestamp::EPOCH, std::sync::Arc::default());
        state(&info, &mut looking);
        assert_eq!(looking.facts.get("memory.used"), Some(&Value::Number(25.0, Unit::Percent)));
        assert_eq!(looking.facts.get("role"), Some(&Value::Text("master".to_owned())));
        assert_eq!(looking.facts.get("clients"), Some(&Value::plain(3.0)));
        assert_eq!(info["db0"]["keys"], 5);
        assert_eq!(info["redis_version"], "7.0.15");
        assert_eq!(info["mem_fragmentation_ratio"], 1.25);
    }
}
