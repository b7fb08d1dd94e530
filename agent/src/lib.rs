//! Wanwatch.
