//! Prints `docs/metrics.md`, made of the tables of names.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(wan_wire::reference::document().as_bytes())
}
