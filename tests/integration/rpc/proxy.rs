//! A TCP proxy whose faults a test decides on.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream, lookup_host,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::AbortHandle,
    time::Instant,
};

/// What happens to the bytes of every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They pass.
    None,
    /// They pass, each piece this much later. What comes after it is not held up more than that.
    Latency(Duration),
    /// They are swallowed in both directions, and no connection is closed.
    BlackHole,
    /// Requests reach the server, and its answers are swallowed: the client does not know what has happened.
    HalfOpen,
    /// The connection is reset in the middle of what the server says.
    Cut,
    /// The server's side is closed in good order, and what it was about to say is lost.
    Closed,
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    /// Connections that began in an earlier era are reset.
    era: u64,
}

/// What the faults came to: a test whose fault has hit nothing has shown nothing.
#[derive(Debug, Default)]
struct Harm {
    delayed: AtomicUsize,
    swallowed: AtomicUsize,
    broken: AtomicUsize,
}

/// A proxy between clients and a server. It ends, with its connections, when it is dropped.
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// How many connections there have been.
    accepted: watch::Receiver<usize>,
    accepting: AbortHandle,
    harm: Arc<Harm>,
}

impl Proxy {
    /// A proxy before the server of this URL.
    pub(super) async fn start(server: &str) -> Self {
        let server = lookup_host(server.trim_start_matches("http://")).await;
        let server = server.unwrap().next();
        let server = server.expect("the server's name has an address");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State {
            fault: Fault::None,
            era: 0,
        });
        let state = Arc::new(state);
        let for_connections = state.clone();
        let harm = Arc::<Harm>::default();
        let to_connections = harm.clone();
        let (count, accepted) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let state = for_connections.subscribe();
                let harm = to_connections.clone();
                tokio::spawn(async move {
                    // A connection that ends, for whatever reason, is what this is about.
                    let _ = carry(client, server, state, &harm).await;
                });
            }
        });
        Self {
            address,
            state,
            accepted,
            accepting: accepting.abort_handle(),
            harm,
        }
    }

    /// How many bytes came later than they would have.
    pub(super) fn delayed(&self) -> usize {
        self.harm.delayed.load(Ordering::SeqCst)
    }

    /// How many bytes never came.
    pub(super) fn swallowed(&self) -> usize {
        self.harm.swallowed.load(Ordering::SeqCst)
    }

    /// How many connections ended by a fault.
    pub(super) fn broken(&self) -> usize {
        self.harm.broken.load(Ordering::SeqCst)
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
    harm: &Harm,
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
        result = copy(from_client, to_server, true, state.clone(), harm) => result,
        result = copy(from_server, to_client, false, state, harm) => result,
        _ = reset.wait_for(|state| state.era != era) => {
            harm.broken.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
}

/// Bytes on their way, and when they are to arrive.
type Piece = (Instant, Vec<u8>);

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    to_server: bool,
    state: watch::Receiver<State>,
    harm: &Harm,
) -> io::Result<()> {
    let (send, mut receive) = mpsc::channel::<Piece>(1024);
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        let mut is_broken = false;
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            let fault = state.borrow().fault;
            let mut due = Instant::now();
            let mut data = &buffer[..read];
            let mut is_last = false;
            match fault {
                // A connection with a hole in it never carries anything sensible again.
                _ if is_broken => data = &[],
                Fault::BlackHole => (is_broken, data) = (true, &[]),
                Fault::HalfOpen if !to_server => (is_broken, data) = (true, &[]),
                Fault::Cut if !to_server => (is_last, data) = (true, &data[..read / 2]),
                Fault::Closed if !to_server => (is_last, data) = (true, &[]),
                Fault::Latency(latency) => {
                    due += latency;
                    harm.delayed.fetch_add(read, Ordering::SeqCst);
                }
                _ => {}
            }
            harm.swallowed
                .fetch_add(read - data.len(), Ordering::SeqCst);
            if !data.is_empty() && send.send((due, data.to_vec())).await.is_err() {
                return Ok(());
            }
            if is_last {
                harm.broken.fetch_add(1, Ordering::SeqCst);
                return Err(io::Error::other(End(fault)));
            }
        }
    };
    let write = async {
        while let Some((due, data)) = receive.recv().await {
            tokio::time::sleep_until(due).await;
            to.write_all(&data).await?;
        }
        io::Result::Ok(())
    };
    // What was read is written before the connection ends.
    let (read, written) = tokio::join!(read, write);
    written?;
    match read {
        Err(error)
            if matches!(
                error.get_ref().and_then(|end| end.downcast_ref()),
                Some(End(Fault::Closed))
            ) =>
        {
            to.shutdown().await?;
            // The other direction ends when the client has understood.
            std::future::pending().await
        }
        other => other,
    }
}

/// A fault that ends a connection.
#[derive(Debug)]
struct End(Fault);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended by {:?}", self.0)
    }
}

impl std::error::Error for End {}
