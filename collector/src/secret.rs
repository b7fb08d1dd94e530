//! The secret by which an agent proves its site, and the one-time token by which it enrols.
//!
//! Their text is the wire contract's ([`wan_wire::secret`]): 256 bits from the operating system behind a prefix. Only the
//! SHA-256 is stored. A slow password hash would add nothing: no list of likely secrets exists for 256 random bits. For the
//! same reason a look-up by that hash tells nothing by the time it takes.

use std::fmt;

use rand::TryRng as _;
use sha2::{Digest as _, Sha256};
use wan_wire::secret::{SECRET_PREFIX, TOKEN_PREFIX, write};

/// A secret or a token in the clear. It is shown once and then forgotten; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(String);

impl Secret {
    /// A new secret of an agent.
    pub fn generate() -> Result<Self, NoRandomness> {
        Self::with_prefix(SECRET_PREFIX)
    }

    /// A new one-time token.
    pub fn token() -> Result<Self, NoRandomness> {
        Self::with_prefix(TOKEN_PREFIX)
    }

    /// A new secret of another use, which its prefix tells.
    pub(crate) fn with_prefix(prefix: &str) -> Result<Self, NoRandomness> {
        Ok(Self(write(prefix, &random()?)))
    }

    /// The text that the agent sends.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is stored of the secret that `text` is; also of a text that is none, which then matches nothing.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn random() -> Result<[u8; 32], NoRandomness> {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ_and_do_not_show_themselves() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one, other);
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "Secret(…)");
        assert!(wan_wire::secret::is(SECRET_PREFIX, one.reveal()));
        assert!(wan_wire::secret::is(TOKEN_PREFIX, Secret::token().unwrap().reveal()));
    }
}
