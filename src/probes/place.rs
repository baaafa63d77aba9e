//! Where a target leads, in one line and without secrets.

use super::target::Target;

impl Target {
    /// For people: `GET https://api.example.com/health`, `db.example.com:5432`. Without user names and queries.
    pub fn describe(&self) -> String {
        match self {
            Self::Http(http) => format!("{} {}", http.method, without_extras(&http.url)),
            Self::Tcp(tcp) => format!("{}:{}", tcp.host, tcp.port),
            Self::Tls(tls) => format!("{}:{}", tls.host, tls.port),
            Self::Dns(dns) => match &dns.server {
                Some(server) => format!("{} {} at {server}", dns.record, dns.name),
                None => format!("{} {}", dns.record, dns.name),
            },
            Self::Smtp(smtp) => format!("{}:{}", smtp.host, smtp.port),
            Self::S3(s3) => format!("{} at {}", s3.bucket, without_extras(&s3.endpoint)),
            Self::Postgres(postgres) => database("PostgreSQL", &postgres.url),
            Self::Redis(redis) => database("Redis", &redis.url),
            Self::Disk(disk) => disk.path.clone(),
            Self::Machine(_) => "this machine".to_owned(),
            Self::Process(process) => {
                let by = process.name.as_deref().or(process.pid_file.as_deref());
                by.unwrap_or_default().to_owned()
            }
            Self::File(file) => file.path.clone(),
            Self::Push(_) => "reports".to_owned(),
        }
    }

    /// Who is told the secrets. A secret that is kept must not go to somebody else.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Http(http) => origin(&http.url),
            Self::Tcp(tcp) => format!("{}:{}", tcp.host, tcp.port),
            Self::Smtp(smtp) => format!("{}:{}", smtp.host, smtp.port),
            Self::S3(s3) => origin(&s3.endpoint),
            Self::Postgres(postgres) => origin(&postgres.url),
            Self::Redis(redis) => origin(&redis.url),
            Self::Dns(dns) => dns.server.clone().unwrap_or_default(),
            Self::Tls(_)
            | Self::Disk(_)
            | Self::Machine(_)
            | Self::Process(_)
            | Self::File(_)
            | Self::Push(_) => String::new(),
        }
    }
}

/// Scheme, authority without user, and path.
fn without_extras(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else {
        // The whole of it is kept with the secrets.
        return if plain.starts_with("{{") { "a secret address".to_owned() } else { plain.to_owned() };
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host(authority))
}

/// Its scheme says which database it is, where it is seen.
fn database(name: &str, url: &str) -> String {
    let told = without_extras(url);
    if told.contains("://") { told } else { format!("{name} at {told}") }
}

/// Scheme and host.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    format!("{scheme}://{}", host(authority)).to_ascii_lowercase()
}

fn host(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_without_what_is_secret() {
        let target = |json: serde_json::Value| serde_json::from_value::<Target>(json).unwrap();
        let http = target(serde_json::json!({"kind": "http", "url": "https://u:p@API.example/a/b?key=1#x"}));
        assert_eq!(http.describe(), "GET https://API.example/a/b");
        assert_eq!(http.place(), "https://api.example");
        let db =
            target(serde_json::json!({"kind": "postgres", "url": "postgres://u:{{password}}@db:5432/shop"}));
        assert_eq!(db.describe(), "postgres://db:5432/shop");
        assert_eq!(db.place(), "postgres://db:5432");
        let secret = target(serde_json::json!({"kind": "postgres", "url": "{{url}}"}));
        assert_eq!(secret.describe(), "PostgreSQL at a secret address");
        let secret = target(serde_json::json!({"kind": "http", "url": "{{url}}"}));
        assert_eq!(secret.describe(), "GET a secret address");
        assert_eq!(target(serde_json::json!({"kind": "push"})).describe(), "reports");
    }
}
