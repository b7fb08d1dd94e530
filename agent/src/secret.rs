//! The agent's secret: made here, kept in a file of its own, known to the collector by its hash.

use std::fmt;
use std::io;
use std::path::Path;

use rand::TryRng as _;
use sha2::{Digest as _, Sha256};
use wan_wire::secret::{SECRET_PREFIX, hex, is, write};

use crate::files;

/// A secret in the clear; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A new one: 256 bits from the operating system, which waits for enough of them on a host that has just booted.
    pub(crate) fn generate() -> io::Result<Secret> {
        let mut bytes = [0_u8; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
            io::Error::other(format!("the operating system gave no random bytes: {error}"))
        })?;
        Ok(Secret(write(SECRET_PREFIX, &bytes)))
    }

    /// The one that `text` is, alone on its line.
    pub(crate) fn parse(text: &str) -> Option<Secret> {
        let text = text.trim();
        is(SECRET_PREFIX, text).then(|| Secret(text.to_owned()))
    }

    /// What the collector is shown of it.
    pub(crate) fn sha256(&self) -> String {
        sha256(&self.0)
    }

    /// The text of a file that holds it.
    pub(crate) fn line(&self) -> String {
        format!("{}\n", self.0)
    }

    /// The one in a file that was written by [`Secret::keep`]; `None` when there is none, or what is there is torn.
    pub(crate) fn kept(path: &Path) -> Option<Secret> {
        Secret::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// Writes it to a file that only its owner can read, down to the disk.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<()> {
        files::write_private(path, &self.line(), None)
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_own_file_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert_eq!(Secret::kept(&path), None);
        let secret = Secret::generate().unwrap();
        secret.keep(&path).unwrap();
        assert_eq!(Secret::kept(&path), Some(secret.clone()));
        assert_eq!(secret.sha256(), sha256(secret.line().trim()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        std::fs::write(&path, &secret.line()[..20]).unwrap();
        assert_eq!(Secret::kept(&path), None);
    }
}
