//! The secret by which an agent proves its site.
//!
//! 256 bits from the operating system, written `wan_` and 43 characters of base64url (RFC 4648 §5, no padding): the
//! prefix lets secret scanners find a leaked one. Only its SHA-256 is stored. A slow password hash would add nothing: no
//! list of likely secrets exists for 256 random bits.

use std::fmt;

use rand::TryRng as _;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "wan_";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A secret in the clear. It is shown once and then forgotten; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(String);

impl Secret {
    /// A new secret.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0_u8; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The text that the agent sends.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = String::from(PREFIX);
        for group in bytes.chunks(3) {
            let bits = group
                .iter()
                .enumerate()
                .fold(0_u32, |bits, (at, &byte)| bits | (u32::from(byte) << (16 - 8 * at)));
            for digit in 0..=group.len() {
                let six = usize::try_from((bits >> (18 - 6 * digit)) & 63).unwrap_or_default();
                text.push(ALPHABET.get(six).copied().map_or('A', char::from));
            }
        }
        Self(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_prefix_and_base64url_of_32_bytes() {
        // RFC 4648's alphabet at both ends, checked against `basenc --base64url`.
        assert_eq!(Secret::from_bytes(&[0; 32]).reveal(), format!("wan_{}", "A".repeat(43)));
        assert_eq!(Secret::from_bytes(&[0xff; 32]).reveal(), format!("wan_{}8", "_".repeat(42)));
        let bytes: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(Secret::from_bytes(&bytes).reveal(), "wan_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    }

    #[test]
    fn two_secrets_differ_and_do_not_show_themselves() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one, other);
        assert_ne!(one.hash(), other.hash());
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }
}
