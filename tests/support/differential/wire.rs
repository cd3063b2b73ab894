//! A connection: what came over it, and how it ended.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::matrix::answer::End;

/// Room for what one read may bring.
const CHUNK: usize = 256 << 10;

pub(crate) struct Wire {
    stream: TcpStream,
    chunk: Vec<u8>,
    pub(crate) got: Vec<u8>,
    pub(crate) end: End,
}

impl Wire {
    pub(crate) async fn connect(addr: SocketAddr) -> std::io::Result<Wire> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            chunk: vec![0; CHUNK],
            got: Vec::new(),
            end: End::Open,
        })
    }

    /// Writes, and reads meanwhile, so that the other end never waits for this one. What it does
    /// with what is written is seen when its answer or its end is read.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.end == End::Open {
            let (mut reads, mut writes) = self.stream.split();
            tokio::select! {
                wrote = writes.write(bytes) => match wrote {
                    Ok(count) => bytes = &bytes[count..],
                    Err(_) => return,
                },
                read = reads.read(&mut self.chunk) => self.take(read),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        // An error means that the other end was quicker, which reading will tell.
        _ = self.stream.shutdown().await;
    }

    /// Sends a little, without waiting.
    pub(crate) fn send_now(&mut self, bytes: &[u8]) {
        // A full buffer means that the other end does not read, and then misses nothing.
        _ = self.stream.try_write(bytes);
    }

    /// Waits until more has come, or the end; for ever behind the end.
    pub(crate) async fn more(&mut self) {
        if self.end != End::Open {
            std::future::pending::<()>().await;
        }
        let read = self.stream.read(&mut self.chunk).await;
        self.take(read);
    }

    fn take(&mut self, read: std::io::Result<usize>) {
        match read {
            Ok(0) => self.end = End::Fin,
            Ok(count) => self.got.extend_from_slice(&self.chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.end = End::Rst,
        }
    }
}
