//! The register as CSV.
