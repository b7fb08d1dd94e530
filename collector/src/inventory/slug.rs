//! Ids from names.
