//! `/metrics`: what Prometheus scrapes.
use crate::state::State;
use wan_wire::UnixMillis;
/// The content type of the text exposition format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The exposition of now.
pub fn exposition(_state: &State, _now: UnixMillis) -> String {
    String::new()
}
