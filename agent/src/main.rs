//! Wanwatch.

fn main() {}
