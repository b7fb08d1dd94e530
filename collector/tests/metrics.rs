//! `/metrics` as Prometheus' own checker reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{Folder, HOUR, START};
use wan_collector::metrics;
use wan_wire::UnixMillis;

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let folder = Folder::prepare();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap();
    let text = metrics::exposition(&state, UnixMillis(START + 20 * HOUR));
    assert!(
        text.contains("wan_link_uptime_ratio{site=\"xa-a\",link=\"wan\",kind=\"wan\",window=\"24h\"} 0.95"),
        "{text}"
    );
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: install Debian's package prometheus, or run ./tests/run as root, which does");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
