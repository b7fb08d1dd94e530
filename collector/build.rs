//! Tells the program when it was built: no right clock says an earlier time.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    // Only these: an incremental build keeps an older time, which as a bound is as good.
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse::<u64>().ok());
    println!("cargo:rustc-env=WAN_COLLECTOR_BUILT_SECONDS={}", given.unwrap_or_else(now));
}

#[allow(clippy::disallowed_methods)]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
