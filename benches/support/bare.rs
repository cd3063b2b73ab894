//! The floor: what moves the same bytes and understands none of them.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads `request` bytes and writes `answer`, until the far end leaves.
pub(crate) async fn answer<T>(mut io: T, request: usize, answer: &[u8]) -> std::io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; request];
    while !ended(io.read_exact(&mut buffer).await)? {
        io.write_all(answer).await?;
    }
    Ok(())
}

/// Writes `request` and reads `answer` bytes, once.
pub(crate) async fn ask<T>(io: &mut T, request: &[u8], answer: &mut [u8]) -> std::io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    io.write_all(request).await?;
    io.read_exact(answer).await?;
    Ok(())
}

fn ended(read: std::io::Result<usize>) -> std::io::Result<bool> {
    match read {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(true),
        Err(error) => Err(error),
    }
}
