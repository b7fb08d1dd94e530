//! A collector in the test's own process, on loopback and on a data folder of the test's. Each test adds what it asks of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wan_collector::config::Config;

/// A collector in this process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
    pub(crate) client: reqwest::Client,
}

impl Running {
    /// Runs it.
    pub(crate) async fn spawn(config: Config) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(wan_collector::run(config, vec![listener], stop.clone()));
        Self { address, stop, task, client: reqwest::Client::new() }
    }

    /// Runs it, and waits until it is ready.
    pub(crate) async fn begin(config: Config) -> Self {
        let running = Self::spawn(config).await;
        for _ in 0..1200 {
            if running.client.get(running.url("/readyz")).send().await.is_ok_and(|r| r.status() == 200) {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the collector did not become ready");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops it, and holds it to a clean end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}
