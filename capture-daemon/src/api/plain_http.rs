//! The answer to those who speak HTTP where TLS is spoken: without one they see a broken connection.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const DETAIL: &str = "this port speaks HTTPS, not HTTP; begin its URL with https://";

/// Most bytes of a request that are taken from the connection, as it breaks off if some are left.
const MAX_HEAD: usize = 16 << 10;

/// Whether a connection begins with the method of a request. A TLS handshake begins with 0x16 (RFC 8446, 5.1).
pub(super) async fn is_spoken(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase()
}

/// Answers, and closes the connection.
pub(super) async fn refuse(mut stream: TcpStream) {
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"{DETAIL}\",\
         \"errors\":[{{\"pointer\":\"\",\"code\":\"tls\",\"detail\":\"{DETAIL}\"}}]}}"
    );
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut request = vec![0; MAX_HEAD];
    let answered = async {
        if stream.read(&mut request).await? == 0 {
            return Ok(());
        }
        stream.write_all((head + &body).as_bytes()).await?;
        stream.shutdown().await
    };
    if let Err(error) = answered.await {
        log::debug!("HTTP where TLS is spoken: {error}");
    }
}
