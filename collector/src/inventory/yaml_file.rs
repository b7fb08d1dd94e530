//! The register as YAML.
