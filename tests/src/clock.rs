//! The one module of this crate that reads clocks.

use std::time::{Duration, Instant, SystemTime};

/// The monotonic clock, for deadlines and latencies.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock in Unix milliseconds (UTC), as the samples on the wire carry it.
#[allow(clippy::disallowed_methods)]
pub fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since this machine booted, suspends included.
pub fn since_boot_millis() -> anyhow::Result<i64> {
    let since = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)?;
    Ok(i64::try_from(Duration::from(since).as_millis())?)
}

/// Asks `check` every 100 ms until it gives a value; after `limit` the last reason it gave becomes the error.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = now();
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(reason) if start.elapsed() >= limit => {
                return Err(reason.context(format!("{what}: not so within {} s", limit.as_secs())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
