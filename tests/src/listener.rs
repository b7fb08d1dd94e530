//! A server of a test: takes connections on a free loopback port inside a namespace, each in a thread of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::netns::Namespace;

/// The server; it takes no more connections when dropped.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Listener {
    /// Listens inside `space`, and has each connection served. What goes wrong with one ends that one.
    pub fn start(
        space: &Namespace,
        serve: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static,
    ) -> Result<Self> {
        let listener = space.within(|| TcpListener::bind("127.0.0.1:0").context("listen"))?;
        let address = listener.local_addr().context("the port")?;
        listener.set_nonblocking(true).context("set the listener to not wait")?;
        let stopped = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stopped);
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let serve = serve.clone();
                std::thread::spawn(move || {
                    stream.set_nonblocking(false).context("set the connection to wait")?;
                    serve(stream)
                });
            }
        });
        Ok(Self { address, stopped })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
