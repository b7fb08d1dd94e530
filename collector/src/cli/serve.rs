//! `wan-collector serve`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::access::NobodyCouldRead;
use crate::config::{Config, DEFAULT_PATH};

/// How to run the collector.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Listen here instead of where the configuration says; may be given several times.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<SocketAddr>,
    /// How much to log: error, warn, info, debug, trace, or a filter such as `wan_collector=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "LEVEL")]
    pub log: String,
}

/// Runs the collector until SIGTERM or SIGINT.
///
/// # Errors
/// When the configuration is wrong, the address is taken, or the data cannot be opened.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_new(&args.log).with_context(|| format!("--log {}", args.log))?;
    let coloured = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(coloured).init();
    let mut config = Config::load(file)?;
    if !args.listen.is_empty() {
        config.listen.clone_from(&args.listen);
    }
    // What is in it (secrets' hashes, who was connected when) is for this user alone.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data)
        .with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
    crate::server::raise_file_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(serve(config)).map_err(|mut error| {
        if let Some(nobody) = error.downcast_mut::<NobodyCouldRead>()
            && file != Path::new(DEFAULT_PATH)
        {
            nobody.config = format!(" --config {}", file.display());
        }
        error
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut sockets = Vec::with_capacity(config.listen.len());
    for address in &config.listen {
        sockets.push(TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen on {address}; is another program there? `listen` in the configuration says where"
            )
        })?);
    }
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("interrupt: stopping"),
        }
        stop.cancel();
    });
    tracing::info!(data = %config.data.display(), "wan-collector {} starts", env!("CARGO_PKG_VERSION"));
    crate::run(config, sockets, shutdown).await?;
    tracing::info!("stopped; everything is stored");
    Ok(())
}
