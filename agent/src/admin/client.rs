//! The other end of the admin socket.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use oneport::proto::BoxError;
use tokio::{net::UnixStream, time::timeout};

/// How long an answer may take: somewhat longer than an agent gives itself.
pub const ASK_WITHIN: Duration = Duration::from_secs(35);
/// The largest answer, in bytes.
pub const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// It broke.
    #[error("the connection broke")]
    Broken(#[source] BoxError),
    /// It took longer than [`ASK_WITHIN`].
    #[error("no answer within {ASK_WITHIN:?}")]
    Late,
}

/// Asks the agent whose admin socket this is.
///
/// # Errors
/// [`AskError`]; an answer with any status is none.
pub async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
) -> Result<(StatusCode, Bytes), AskError> {
    match timeout(ASK_WITHIN, exchange(socket, method, path)).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(AskError::Late),
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
) -> Result<(StatusCode, Bytes), AskError> {
    let broken = |error: BoxError| AskError::Broken(error);
    let stream = UnixStream::connect(socket)
        .await
        .map_err(AskError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.into()))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "oneport")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(error.into()))?;
    let asking = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| broken(error.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect();
        Ok((status, body.await.map_err(broken)?.to_bytes()))
    };
    // The connection carries the answer: it ends with it, or first if it breaks.
    tokio::pin!(asking);
    tokio::select! {
        biased;
        answered = &mut asking => answered,
        ended = connection => match ended {
            Ok(()) => asking.await,
            Err(error) => Err(broken(error.into())),
        },
    }
}
