//! A client of the collector's JSON API.
