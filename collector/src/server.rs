//! The HTTP shell: an accept loop of our own for each listener, one task a connection.
//!
//! A listener on loopback speaks plain HTTP and is open; every other one speaks TLS unless that is off (`handshake`).
//!
//! `POST /api/v1/write` is taken before any router, since it is the one request that comes thousands of times a second;
//! everything else goes to the router of [`crate::api`]. Every limit is explicit (design.md, invariant 10): connections, of all
//! and of one network; time to send a request's head and body, and to take an answer; bytes of bodies in flight.

mod handshake;
mod heeded;
mod networks;
mod proxies;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use wan_wire::api::{CONFIG_PATH, SECRET_PATH};

use self::heeded::Heeded;
use self::networks::Networks;
pub use self::proxies::{Network, NotANetwork};
use crate::attempts::network;
use crate::clock;
use crate::config::is_loopback;
use crate::ingest::{self, Ingest};
use crate::tls::Secured;

/// What is answered to agents that have a secret: the answers tell them the time.
const AGENTS: [&str; 3] = [ingest::PATH, CONFIG_PATH, SECRET_PATH];
/// An idle connection, or one that does not finish a request's head, is closed after this. Agents push every few
/// seconds, so a living one never meets it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A request's head is at most this long: a hundred times what an agent sends.
const HEAD_BYTES: usize = 64 << 10;
/// Open connections, where file descriptors allow for so many ([`raise_file_limit`]). Ten thousand agents keep one each.
const CONNECTIONS: usize = 20_000;
/// Connections that only loopback listeners take when all others are taken: whoever sits at the collector still gets in.
const LOCAL_CONNECTIONS: usize = 64;
/// What one network (an IPv4 address, or an IPv6 /64) may take of the connections: a quarter, which is a province of 5,000 sites behind
/// one address. Trusted proxies are not counted.
const SHARE: usize = 4;
/// File descriptors that connections leave to the database, the journal and the rest of the process.
const OTHER_FILES: u64 = 512;
/// A client that takes nothing of what it is sent for this long loses its connection.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);
/// That a network has too many connections is said this often.
const CROWDED_INTERVAL: Duration = Duration::from_secs(60);
/// How long answers that have begun may take after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);
/// So much of a refused request's body is still read: twice the largest body that could have been accepted by default.
const DRAIN_BYTES: usize = 8 << 20;
/// And for so long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left, say) the loop rests this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// By which way a request came; in the extensions of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via {
    /// Who sent it; where a trusted proxy did (`access.proxies`), for whom.
    pub peer: SocketAddr,
    /// Whether it came by a loopback listener, where nobody needs to log in.
    pub open: bool,
    /// Whether it came encrypted.
    pub tls: bool,
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    open: bool,
    secured: Option<Arc<Secured>>,
}

impl Listener {
    /// `socket`, which speaks TLS by `secured` if given.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn new(socket: TcpListener, secured: Option<Arc<Secured>>) -> std::io::Result<Self> {
        let open = is_loopback(&socket.local_addr()?);
        Ok(Self { socket, open, secured })
    }
}

/// How many connections there may be, and how long one may stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// More of them for loopback listeners.
    pub local: usize,
    /// Of the connections, how many one network may have.
    pub per_network: usize,
    /// A client that takes nothing of what it is sent for this long loses its connection.
    pub unread: Duration,
}

impl Limits {
    /// For this process, by the files that it may have open.
    #[must_use]
    pub fn of_this_process() -> Self {
        use nix::sys::resource::{Resource, getrlimit};
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        Self::within(files)
    }

    fn within(files: u64) -> Self {
        let left = usize::try_from(files - OTHER_FILES.min(files / 2)).unwrap_or(usize::MAX);
        let connections = left.saturating_sub(LOCAL_CONNECTIONS).clamp(16, CONNECTIONS);
        let per_network = connections / SHARE;
        Self { connections, local: LOCAL_CONNECTIONS, per_network, unread: UNREAD_TIMEOUT }
    }
}

/// Connections that may be opened.
struct Permits {
    all: Arc<Semaphore>,
    local: Arc<Semaphore>,
}

impl Permits {
    async fn take(&self, open: bool) -> Result<OwnedSemaphorePermit, AcquireError> {
        let all = Arc::clone(&self.all).acquire_owned();
        if !open {
            return all.await;
        }
        tokio::select! {
            biased;
            permit = all => permit,
            permit = Arc::clone(&self.local).acquire_owned() => permit,
        }
    }
}

/// What all connections share.
struct Shared {
    ingest: Arc<Ingest>,
    router: axum::Router,
    limits: Limits,
    permits: Permits,
    networks: Networks,
    /// When it was last said that a network has too many connections.
    crowded: Mutex<Option<Instant>>,
    handshakes: handshake::Places,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Serves until `shutdown`, then lets requests that have begun finish, for at most five seconds.
pub async fn serve(
    listeners: Vec<Listener>,
    ingest: Arc<Ingest>,
    router: axum::Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let shared = Arc::new(Shared {
        ingest,
        router,
        limits,
        permits: Permits {
            all: Arc::new(Semaphore::new(limits.connections)),
            local: Arc::new(Semaphore::new(limits.local)),
        },
        networks: Networks::new(limits.per_network),
        crowded: Mutex::new(None),
        handshakes: handshake::Places::new(),
        tasks: TaskTracker::new(),
        shutdown,
    });
    let accepting = TaskTracker::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&shared)));
    }
    accepting.close();
    accepting.wait().await;
    shared.tasks.close();
    if tokio::time::timeout(DRAIN, shared.tasks.wait()).await.is_err() {
        tracing::warn!(open = shared.tasks.len(), "connections were still busy at the stop and are cut");
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    loop {
        let permit = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            permit = shared.permits.take(listener.open) => permit,
        };
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            accepted = listener.socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let via = Via { peer, open: listener.open, tls: listener.secured.is_some() };
                let connection = connection(stream, via, listener.secured.clone(), Arc::clone(&shared));
                shared.tasks.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, via: Via, secured: Option<Arc<Secured>>, shared: Arc<Shared>) {
    let trusted = || shared.ingest.proxies().iter().any(|network| network.holds(via.peer.ip()));
    let _place = if via.open || trusted() {
        None
    } else {
        let Some(place) = shared.networks.try_take(network(via.peer.ip())) else {
            shared.say_crowded(via.peer);
            return;
        };
        Some(place)
    };
    // Answers are small and each is awaited by its sender: Nagle's delay would only add to them.
    let _ = stream.set_nodelay(true);
    let counters = Arc::clone(shared.ingest.counters());
    counters.connections.inc();
    match secured {
        None => speak(stream, via, &shared).await,
        Some(secured) => {
            let shaken = tokio::select! {
                shaken = handshake::shake(stream, via.peer.ip(), &secured, &shared.handshakes) => Some(shaken),
                () = shared.shutdown.cancelled() => None,
            };
            match shaken {
                Some(Ok(stream)) => speak(stream, via, &shared).await,
                Some(Err(error)) => tracing::debug!(peer = %via.peer, %error, "no TLS handshake"),
                None => {}
            }
        }
    }
    counters.connections.dec();
}

impl Shared {
    fn say_crowded(&self, peer: SocketAddr) {
        let now = clock::monotonic();
        let mut said = self.crowded.lock();
        if said.is_none_or(|said| now.duration_since(said) >= CROWDED_INTERVAL) {
            *said = Some(now);
            tracing::warn!(
                peer = %peer.ip(), limit = self.limits.per_network,
                "an address has more connections than one may have, and its new ones are closed; a proxy or gateway that stands \
                 for many belongs into `access.proxies`"
            );
        }
    }
}

/// HTTP on an established connection, to its end.
async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, via: Via, shared: &Shared) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let peer = proxies::origin(via.peer, request.headers(), shared.ingest.proxies());
        request.extensions_mut().insert(Via { peer, ..via });
        let ingest = Arc::clone(&shared.ingest);
        let router = shared.router.clone();
        async move { Ok::<_, Infallible>(route(request, &ingest, router).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let connection = http.serve_connection(TokioIo::new(Heeded::new(stream, shared.limits.unread)), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shared.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn route(request: hyper::Request<Incoming>, ingest: &Ingest, router: axum::Router) -> Response {
    let path = request.uri().path();
    if AGENTS.contains(&path)
        && let Some(response) = ingest.clock_is_wrong()
    {
        if path == ingest::PATH {
            ingest.count(&response);
        }
        drain(request.into_body()).await;
        return response;
    }
    if request.uri().path() == ingest::PATH {
        return ingest.handle(request).await;
    }
    let (back, mut left) = oneshot::channel();
    let request: Request = request.map(|body| Body::new(Lent { body: Some(body), back: Some(back) }));
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let Ok(body) = left.try_recv() {
        drain(body).await;
    }
    response
}

/// A request's body in a handler's hands: what the handler leaves unread comes back when it lets go of it.
struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(back)) = (unread, self.back.take()) {
            // Nobody waits for it where the connection has gone.
            let _ = back.send(body);
        }
    }
}

/// Reads what is left of a refused request's body and forgets it, within limits: a sender that reads nothing before it has
/// sent all then gets to see the answer instead of a broken connection.
pub(crate) async fn drain(mut body: Incoming) {
    let read = async {
        let mut bytes = 0;
        while bytes < DRAIN_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            bytes += frame.data_ref().map_or(0, |data| data.len());
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, read).await;
}

/// Lets this process open as many files as the system allows it: a connection is a file.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files; many agents at once may be refused");
    }
}

#[cfg(test)]
mod shell_tests;
