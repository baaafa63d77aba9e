//! The way in: encryption as the address asks for it, user and password.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode as OwnMode};

use super::super::dial::{self, Distrusted};
use super::super::question::{Looking, With};
use super::super::wire::Wire;
use crate::probes::condition::Value;
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::{PostgresAddress, SslMode};

/// What a client says that wants encryption: its length, and 1234.5679 as the protocol's number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Agreed here and not by the database's library: so the times, the trust and the addresses are those of every probe.
pub(super) async fn open(
    address: &PostgresAddress,
    with: With<'_>,
    looking: &mut Looking,
) -> Result<Wire, Failed> {
    let host = &address.url.host;
    let mut stream = dial::connect(host, address.port(), with.reach, looking).await?;
    if address.ssl_mode == SslMode::Disable {
        return Ok(Wire::plain(stream, looking.marks.clone()));
    }
    looking.phase = Phase::Tls;
    if !can_encrypt(&mut stream, looking).await? {
        return match address.ssl_mode {
            SslMode::Disable | SslMode::Prefer => Ok(Wire::plain(stream, looking.marks.clone())),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                Err(looking.failed("the server does not encrypt, and the address asks for it"))
            }
        };
    }
    let distrusted = match address.ssl_mode {
        SslMode::VerifyFull => Distrusted::Refused,
        // Of `verify-ca` the name does not count: its certificate is looked at below.
        SslMode::Disable | SslMode::Prefer | SslMode::Require | SslMode::VerifyCa => Distrusted::Taken,
    };
    let (stream, shown) = dial::encrypt(stream, host, with.trust, distrusted, looking).await?;
    let is_trusted = looking.facts.get("cert.trusted") == Some(&Value::Flag(true));
    if address.ssl_mode == SslMode::VerifyCa && !is_trusted {
        let reason = shown.distrusted.clone();
        return Err(looking.failed(reason.unwrap_or_else(|| "nobody vouches for the certificate".to_owned())));
    }
    Ok(Wire::encrypted(stream, looking.marks.clone()))
}

async fn can_encrypt(stream: &mut TcpStream, looking: &Looking) -> Result<bool, Failed> {
    let mut answer = [0];
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_exact(&mut answer).await
    };
    asked.await.map_err(|error| looking.broken(&error))?;
    match answer {
        [b'S'] => Ok(true),
        [b'N'] => Ok(false),
        _ => Err(looking.failed("what answers is no PostgreSQL")),
    }
}

pub(super) fn config(address: &PostgresAddress) -> Config {
    let mut config = Config::new();
    config
        .user(&address.url.user)
        .dbname(address.database())
        .application_name(address.url.parameter("application_name").unwrap_or("tocsin"))
        .ssl_mode(OwnMode::Disable)
        .channel_binding(ChannelBinding::Disable);
    if let Some(password) = &address.url.password {
        config.password(password);
    }
    if let Some(options) = address.url.parameter("options") {
        config.options(options);
    }
    config
}
