//! A web server (nginx) and a name server (nsd) that probes look at.

use std::{
    fs,
    net::{TcpStream, UdpSocket},
    time::Duration,
};

use tempfile::TempDir;

use super::{certificates::Certificates, database::Daemon, server::free_address, tools::unpacked};

/// nginx with a place for every way to answer; see `nginx.conf` below.
pub(crate) struct Nginx {
    pub(crate) daemon: Daemon,
    pub(crate) tls_port: u16,
}

/// Of what lies at `/large`.
pub(crate) const LARGE_BYTES: usize = 8 * 1024 * 1024;

impl Nginx {
    /// Encrypted with `protocols`, such as `TLSv1.3`.
    pub(crate) fn start(tls: &Certificates, protocols: &str) -> Nginx {
        // Nobody listens there.
        Nginx::start_before(tls, protocols, "127.0.0.1:1")
    }

    /// One that passes pings on to a tocsin at `upstream`.
    pub(crate) fn start_before(tls: &Certificates, protocols: &str, upstream: &str) -> Nginx {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (port, tls_port) = (free_address().port(), free_address().port());
        tls.write_to(folder.path());
        let large = vec![b'a'; LARGE_BYTES];
        fs::write(folder.path().join("large"), large).expect("a temporary folder can be filled");
        let settings = nginx_conf(port, tls_port, protocols, upstream);
        fs::write(folder.path().join("users"), "watch:{PLAIN}open sesame\n").expect("it can be filled");
        fs::write(folder.path().join("words"), "[1]").expect("it can be filled");
        fs::write(folder.path().join("nginx.conf"), settings).expect("a temporary folder can be filled");
        let mut command = unpacked("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let daemon = Daemon::start(command, port, folder);
        let daemon = daemon.wait_for("nginx listens", |port| {
            [port, tls_port].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        Nginx { daemon, tls_port }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.daemon.port)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.tls_port)
    }
}

fn nginx_conf(port: u16, tls_port: u16, protocols: &str, upstream: &str) -> String {
    format!(
        r#"
daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    access_log off;
    gzip on;
    gzip_types application/json;
    gzip_min_length 1;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        ssl_protocols {protocols};
        default_type application/json;
        root .;
        location = /health {{ return 200 '{{"queue":{{"depth":7}},"at":"$time_iso8601"}}'; }}
        location = /moved {{ return 302 /health; }}
        location = /encrypted {{ return 301 https://localhost:{tls_port}/health; }}
        location = /loop {{ return 301 /loop; }}
        location = /ill {{ return 503 'no'; }}
        location = /upstream {{ proxy_pass http://127.0.0.1:1; }}
        location = /keyed {{
            if ($http_authorization != "Bearer open sesame") {{ return 401 'no'; }}
            return 200 '{{"method":"$request_method"}}';
        }}
        location = /private {{
            auth_basic "shop";
            auth_basic_user_file users;
            try_files /words =404;
        }}
        location /ping/ {{ proxy_pass http://{upstream}; }}
        location = /gone {{ return 444; }}
        location = /large {{ }}
        location = /drip {{ limit_rate 512; alias large; }}
    }}
}}
"#
    )
}

/// nsd, which answers for `example.test` and `2.0.192.in-addr.arpa`, should answer for `broken.test` and cannot, and
/// knows nothing else.
pub(crate) struct NameServer {
    pub(crate) daemon: Daemon,
}

/// Records of `many.example.test`: more than one datagram holds.
pub(crate) const MANY: usize = 100;

impl NameServer {
    pub(crate) fn start() -> NameServer {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let port = free_address().port();
        let many: Vec<_> = (0..MANY).map(|n| format!("many IN TXT \"record number {n}\"")).collect();
        let many = many.join("\n") + "\n";
        let zones = [
            ("example", format!("{ZONE}{many}")),
            ("reverse", "$TTL 300\n@ IN SOA ns.example.test. ops.example.test. 1 2 3 4 5\n@ IN NS ns.example.test.\n7 IN PTR www.example.test.\n".to_owned()),
        ];
        for (name, text) in zones {
            fs::write(folder.path().join(name), text).expect("a temporary folder can be filled");
        }
        let settings = nsd_conf(&folder.path().display().to_string(), port);
        fs::write(folder.path().join("nsd.conf"), settings).expect("a temporary folder can be filled");
        let mut command = unpacked("nsd");
        command.arg("-d").arg("-c").arg(folder.path().join("nsd.conf"));
        let daemon = Daemon::start(command, port, folder);
        NameServer { daemon: daemon.wait_for("nsd answers", answers) }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.daemon.port)
    }
}

/// A question for the root, which is refused at once by a server that is there.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect(("127.0.0.1", port))?;
        socket.send(&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1])?;
        socket.recv(&mut [0; 512]).map(drop)
    };
    ask().is_ok()
}

const ZONE: &str = r#"$TTL 300
@ IN SOA ns.example.test. ops.example.test. 7 3600 600 86400 60
@ IN NS ns.example.test.
@ IN MX 10 mail.example.test.
@ IN CAA 0 issue "letsencrypt.org"
@ IN TXT "v=spf1 -all" " and more"
ns IN A 192.0.2.53
www 120 IN A 192.0.2.8
www 120 IN A 192.0.2.7
www 120 IN AAAA 2001:db8::7
shop 30 IN CNAME www
_sip._tcp IN SRV 1 2 5060 sip.example.test.
"#;

fn nsd_conf(folder: &str, port: u16) -> String {
    format!(
        r#"
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zones"
    cookie-secret-file: ""
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: example.test
    zonefile: example
zone:
    name: broken.test
    zonefile: nowhere
zone:
    name: 2.0.192.in-addr.arpa
    zonefile: reverse
"#
    )
}
