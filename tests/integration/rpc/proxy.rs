//! A TCP proxy whose faults a test decides on.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

/// What happens to the bytes of every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They pass.
    None,
    /// They pass, each piece this much later.
    Latency(Duration),
    /// They are swallowed in both directions, and no connection is closed.
    BlackHole,
    /// Requests reach the server, and its answers are swallowed: the client does not know what has happened.
    HalfOpen,
}

impl Fault {
    /// Whether bytes of this direction get through, and when.
    fn delay(self, to_server: bool) -> Option<Duration> {
        match self {
            Self::None => Some(Duration::ZERO),
            Self::Latency(latency) => Some(latency),
            Self::BlackHole => None,
            Self::HalfOpen => to_server.then_some(Duration::ZERO),
        }
    }
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    /// Connections that began in an earlier era are reset.
    era: u64,
}

/// A proxy between clients and a server. It ends, with its connections, when it is dropped.
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// How many connections there have been.
    accepted: watch::Receiver<usize>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State {
            fault: Fault::None,
            era: 0,
        });
        let state = Arc::new(state);
        let for_connections = state.clone();
        let (count, accepted) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let state = for_connections.subscribe();
                tokio::spawn(async move {
                    // A connection that ends, for whatever reason, is what this is about.
                    let _ = carry(client, server, state).await;
                });
            }
        });
        Self {
            address,
            state,
            accepted,
            accepting: accepting.abort_handle(),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to every connection from now on, those that are open included.
    pub(super) fn set(&self, fault: Fault) {
        self.state.send_modify(|state| state.fault = fault);
    }

    /// Resets every open connection, as a crash of what is in between would.
    pub(super) fn reset(&self) {
        self.state.send_modify(|state| state.era += 1);
    }

    /// Waits for the next connection: for a client that has found out about its last.
    pub(super) async fn next_connection(&self) {
        let mut accepted = self.accepted.clone();
        accepted.mark_unchanged();
        accepted.changed().await.expect("the proxy is there");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let era = state.borrow().era;
    // A server that is not there is a connection that is reset.
    client.set_zero_linger()?;
    let server = TcpStream::connect(server).await?;
    server.set_zero_linger()?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut reset = state.clone();
    tokio::select! {
        result = copy(from_client, to_server, true, state.clone()) => result,
        result = copy(from_server, to_client, false, state) => result,
        _ = reset.wait_for(|state| state.era != era) => Ok(()),
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    to_server: bool,
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut is_broken = false;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let fault = state.borrow().fault;
        match fault.delay(to_server) {
            // A connection with a hole in it never carries anything sensible again.
            Some(_) if is_broken => {}
            Some(delay) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                to.write_all(&buffer[..read]).await?;
            }
            None => is_broken = true,
        }
    }
}
