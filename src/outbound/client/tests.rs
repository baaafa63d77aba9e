use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn request(url: &str, reach: Reach) -> Request {
    Request {
        method: Method::POST,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: b"{}".to_vec(),
        reach,
        timeout: Duration::from_secs(2),
    }
}

/// Answers every connection with the same bytes, until dropped.
fn peer(answer: Vec<u8>) -> (SocketAddr, tokio::task::JoinSet<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            assert!(socket.read(&mut request).await.unwrap() > 0);
            socket.write_all(&answer).await.ok();
            socket.shutdown().await.ok();
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn every_spelling_of_this_machine_is_refused_to_strangers() {
    let client = Client::new(&Options::default()).unwrap();
    for url in [
        "http://127.0.0.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://0.0.0.0/",
        "http://localhost/",
        "http://localhost./",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1:8080/",
        "http://127.0.0.1/",
    ] {
        let error = client.send(request(url, Reach::Public), NOW).await.unwrap_err();
        assert!(matches!(error, Error::NoAddress(NoAddress::Forbidden { .. })), "{url}: {error}");
        assert!(error.is_permanent());
    }
    let error = client.send(request("http://169.254.169.254/", Reach::Private), NOW).await.unwrap_err();
    assert!(error.is_permanent(), "metadata is out of everybody's reach");
}

#[tokio::test]
async fn other_schemes_and_user_names_are_refused() {
    let client = Client::new(&Options::default()).unwrap();
    for url in ["ftp://example.com/", "file:///etc/passwd", "https://user:secret@example.com/"] {
        let error = client.send(request(url, Reach::Private), NOW).await.unwrap_err();
        assert!(matches!(error, Error::BadUrl(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (address, _peer) = peer(
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".to_vec(),
    );
    let client = Client::new(&Options::default()).unwrap();
    let response = client.send(request(&format!("http://{address}/"), Reach::Private), NOW).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(!response.is_success());
}

#[tokio::test]
async fn a_long_answer_is_cut_and_retry_after_is_read() {
    let mut answer = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n".to_vec();
    answer.resize(answer.len() + 3 * BODY_BYTES_MAX, b'x');
    let (address, _peer) = peer(answer);
    let client = Client::new(&Options::default()).unwrap();
    let response = client.send(request(&format!("http://{address}/"), Reach::Private), NOW).await.unwrap();
    assert_eq!((response.status, response.body.len(), response.truncated), (429, BODY_BYTES_MAX, true));
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn errors_name_the_origin_and_not_the_secret_path() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(&Options::default()).unwrap();
    let url = format!("http://{address}/services/T000/B000/topsecret?token=topsecret");
    let error = client.send(request(&url, Reach::Private), NOW).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(!error.is_permanent());
    assert!(!format!("{error} {error:?}").contains("topsecret"));
    assert!(error.to_string().contains(&address.to_string()));
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = Client::new(&Options::default()).unwrap();
    let mut slow = request(&url, Reach::Private);
    slow.timeout = Duration::from_millis(100);
    let error = client.send(slow, NOW).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_plain_text_server_behind_https_is_retryable_trouble() {
    let (address, _peer) = peer(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let client = Client::new(&Options::default()).unwrap();
    let error = client.send(request(&format!("https://{address}/x"), Reach::Private), NOW).await.unwrap_err();
    assert!(!error.is_permanent(), "{error:?}");
}
