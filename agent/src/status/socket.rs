//! The socket: `status.sock` in the data folder, for the agent's user and group.
//!
//! - A socket that a killed agent left behind is replaced: nobody answers on it. One on which somebody answers is left alone.
//! - A folder whose path is too long for a socket's address is reached through `/proc/self/fd`.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Status;

/// The socket's name in the data folder.
pub const NAME: &str = "status.sock";
/// Who asks reads the answer within this, or does not get it.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of an answer: two thousand targets of other sites are some 400 KB.
const MOST_BYTES: u64 = 8 << 20;
/// `sun_path` has 108 bytes, one of them the closing zero.
const LONGEST_ADDRESS: usize = 107;
/// After an accept that failed (no descriptors left, say) it rests this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No agent runs with this data folder.
    #[error("no agent runs with the data folder {}; see `systemctl status wan-agent`", .0.display())]
    NotRunning(PathBuf),
    /// Something is there, but does not answer as an agent.
    #[error("{}: {why}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What happened.
        why: String,
    },
}

/// Answers on the socket in `folder` until `stop`; `status` is called for each that asks.
pub(crate) async fn serve(folder: &Path, status: impl Fn() -> Status, stop: &CancellationToken) {
    let (listener, reached) = match bind(folder).await {
        Ok(bound) => bound,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "`wan-agent status` cannot be answered");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => answer(stream, &status()).await,
            Err(error) => {
                tracing::debug!(%error, "a question for the status was lost");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Best effort: one that stays is replaced by the next agent.
    let _ = fs::remove_file(reached.path());
}

/// Asks the agent with this data folder.
///
/// # Errors
/// None runs, or it does not answer.
pub async fn ask(folder: &Path) -> Result<Status, AskError> {
    let path = folder.join(NAME);
    let failed = |why: String| AskError::NoAnswer { path: path.clone(), why };
    let reached = match Reached::of(folder) {
        Ok(reached) => reached,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(AskError::NotRunning(folder.to_owned()));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let stream = match UnixStream::connect(reached.path()).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Err(AskError::NotRunning(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(failed(format!("{error}; ask as root or as the agent's user")));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut bytes = Vec::new();
    let read = async { stream.take(MOST_BYTES).read_to_end(&mut bytes).await };
    match timeout(LIMIT, read).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("no answer within {} s", LIMIT.as_secs()))),
    }
    serde_json::from_slice(&bytes).map_err(|error| failed(format!("not the answer of this version: {error}")))
}

async fn answer(mut stream: UnixStream, status: &Status) {
    let Ok(mut bytes) = serde_json::to_vec(status) else { return };
    bytes.push(b'\n');
    let write = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(LIMIT, write).await, Ok(Ok(()))) {
        tracing::debug!("who asked for the status did not wait for it");
    }
}

async fn bind(folder: &Path) -> io::Result<(UnixListener, Reached)> {
    fs::create_dir_all(folder)?;
    let reached = Reached::of(folder)?;
    let path = reached.path();
    match UnixStream::connect(&path).await {
        Ok(_) => {
            let why = "another agent answers there; two agents must not share a data folder";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => fs::remove_file(&path)?,
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660))?;
    Ok((listener, reached))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// A path of the socket that is short enough, and what keeps it one.
struct Reached {
    path: PathBuf,
    folder: Option<File>,
}

impl Reached {
    fn of(folder: &Path) -> io::Result<Reached> {
        let path = folder.join(NAME);
        let folder = if path.as_os_str().as_bytes().len() <= LONGEST_ADDRESS {
            fs::metadata(folder)?;
            None
        } else {
            Some(File::open(folder)?)
        };
        Ok(Reached { path, folder })
    }

    fn path(&self) -> PathBuf {
        match &self.folder {
            Some(folder) => PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())),
            None => self.path.clone(),
        }
    }
}
