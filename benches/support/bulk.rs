//! Much data one way, on anything that carries bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What is written at once, in bytes.
pub(crate) const WRITE: usize = 64 * 1024;
/// What is moved between two signs from the far end, in bytes.
pub(crate) const LOAD: usize = 16 * WRITE;

/// Which way the data goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// The server's part, until the client leaves. Up, it takes loads and gives a byte for each; down,
/// it takes bytes and gives a load for each.
pub(crate) async fn serve<T>(direction: Direction, mut io: T) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let buffer = vec![b'b'; WRITE];
    loop {
        let served = match direction {
            Direction::Up => take(&mut io, LOAD).await,
            Direction::Down => take(&mut io, 1).await,
        };
        match served {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        match direction {
            Direction::Up => io.write_all(b"k").await?,
            Direction::Down => give(&mut io, &buffer).await?,
        }
        io.flush().await?;
    }
}

/// The client's part, once.
pub(crate) async fn load<T>(direction: Direction, io: &mut T) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    match direction {
        Direction::Up => {
            give(io, &[b'b'; WRITE]).await?;
            io.flush().await?;
            take(io, 1).await
        }
        Direction::Down => {
            io.write_all(b"k").await?;
            io.flush().await?;
            take(io, LOAD).await
        }
    }
}

async fn give<T: AsyncWrite + Unpin>(io: &mut T, buffer: &[u8]) -> io::Result<()> {
    for _ in 0..LOAD / buffer.len() {
        io.write_all(buffer).await?;
    }
    Ok(())
}

async fn take<T: AsyncRead + Unpin>(io: &mut T, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes.min(WRITE)];
    let mut left = bytes;
    while left > 0 {
        let most = left.min(buffer.len());
        match io.read(&mut buffer[..most]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => left -= n,
        }
    }
    Ok(())
}
