//! Passwords: argon2id (RFC 9106), stored as PHC strings, which carry their own parameters.
//!
//! 19 MiB, two passes, one lane: the least that OWASP's Password Storage Cheat Sheet recommends for argon2id. On two cores of a
//! small server that is some 30 ms, short for a person and long for one who guesses; more memory would let a few logins at
//! once crowd out the engine. [`AT_ONCE`] bounds what all of them take together.
//!
//! A password is composed (Unicode NFC) before it is hashed: Vietnamese letters come from some keyboards as one code point
//! and from others as a letter with marks.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use icu_normalizer::ComposingNormalizerBorrowed;
use rand::TryRng as _;
use tokio::sync::Semaphore;

/// KiB of memory that one hash takes.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes: a login has one thread.
const LANES: u32 = 1;
/// RFC 9106 §3.1 recommends 128 bits.
const SALT_BYTES: usize = 16;

/// This many passwords are checked at a time; the others wait. Together 38 MiB.
pub const AT_ONCE: usize = 2;
/// Who waited this long for a turn is told to come back.
const TURN_LIMIT: Duration = Duration::from_secs(5);

/// Fewer characters are refused: short ones are guessed from a stolen database whatever the hash costs.
pub const SHORTEST: usize = 10;
/// More bytes are refused: nobody types them, and hashing is not free.
pub const LONGEST_BYTES: usize = 512;

/// Why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Too short.
    #[error("the password has fewer than {SHORTEST} characters; take a sentence, or more words")]
    TooShort,
    /// Too long.
    #[error("the password is longer than {LONGEST_BYTES} bytes; take a shorter one")]
    TooLong,
    /// It would be lost in a form, or cannot be typed.
    #[error("the password holds a control character; take letters, digits, signs and spaces")]
    Control,
    /// The name is the first that is tried.
    #[error("the password is the user's name; take another one")]
    IsName,
}

/// A password could not be hashed or checked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HashError {
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(String),
    /// The hash function refused: in practice, no memory.
    #[error("cannot hash the password: {0}")]
    Hash(String),
    /// Too many others are being checked.
    #[error("too many passwords are being checked")]
    Busy,
}

/// Whether `text` may become the password of the user `name`.
///
/// # Errors
/// Why it may not.
pub fn check_new(text: &str, name: &str) -> Result<(), BadPassword> {
    let composed = composed(text);
    if composed.chars().any(char::is_control) {
        return Err(BadPassword::Control);
    }
    if composed.chars().count() < SHORTEST {
        return Err(BadPassword::TooShort);
    }
    if composed.len() > LONGEST_BYTES {
        return Err(BadPassword::TooLong);
    }
    if composed.trim().eq_ignore_ascii_case(name) {
        return Err(BadPassword::IsName);
    }
    Ok(())
}

/// What is stored of a password. Takes some 30 ms and 19 MiB.
///
/// # Errors
/// When there is no randomness or no memory.
pub fn hash(text: &str) -> Result<String, HashError> {
    let mut salt = [0_u8; SALT_BYTES];
    rand::rngs::SysRng.try_fill_bytes(&mut salt).map_err(|error| HashError::Randomness(error.to_string()))?;
    let failed = |error: argon2::password_hash::Error| HashError::Hash(error.to_string());
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    let hash = hasher().hash_password(composed(text).as_bytes(), &salt).map_err(failed)?;
    Ok(hash.to_string())
}

/// Checks passwords off the async threads, few at a time.
#[derive(Debug)]
pub struct Checker {
    turns: Arc<Semaphore>,
}

impl Default for Checker {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Checker {
    /// Whether `text` is the password of which `stored` is kept; with `None`, for a name that does not exist, it takes as
    /// long and is wrong.
    ///
    /// # Errors
    /// When too many wait, or the check failed.
    pub async fn check(&self, text: String, stored: Option<String>) -> Result<bool, HashError> {
        let turn = tokio::time::timeout(TURN_LIMIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(HashError::Busy) };
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            match stored {
                Some(stored) => verify(&text, &stored),
                None => {
                    DECOY.as_ref().map_err(Clone::clone).and_then(|decoy| verify(&text, decoy)).map(|_| false)
                }
            }
        });
        checked.await.map_err(|error| HashError::Hash(error.to_string()))?
    }
}

/// A hash that no known password has, for names that do not exist.
static DECOY: LazyLock<Result<String, HashError>> = LazyLock::new(|| {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| HashError::Randomness(error.to_string()))?;
    hash(&bytes.map(|byte| char::from(b'a' + byte % 26)).iter().collect::<String>())
});

/// The hashes against which tests have verified something.
#[cfg(test)]
static VERIFIED: parking_lot::Mutex<Vec<String>> = parking_lot::Mutex::new(Vec::new());

fn verify(text: &str, stored: &str) -> Result<bool, HashError> {
    #[cfg(test)]
    VERIFIED.lock().push(stored.to_owned());
    let stored = PasswordHash::new(stored).map_err(|error| HashError::Hash(error.to_string()))?;
    match hasher().verify_password(composed(text).as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(HashError::Hash(error.to_string())),
    }
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_stored_as_argon2id_with_a_salt_of_its_own() {
        let (one, other) = (hash("một hai ba bốn").unwrap(), hash("một hai ba bốn").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(verify("một hai ba bốn", &one).unwrap() && verify("một hai ba bốn", &other).unwrap());
        assert!(!verify("một hai ba bon", &one).unwrap());
        assert!(verify("x", "not a hash").is_err());
    }

    #[test]
    fn how_a_keyboard_writes_vietnamese_letters_does_not_matter() {
        let (composed, decomposed) = ("Ti\u{1ebf}ng Vi\u{1ec7}t", "Tie\u{302}\u{301}ng Vie\u{323}\u{302}t");
        assert_ne!(composed, decomposed);
        assert!(verify(decomposed, &hash(composed).unwrap()).unwrap());
        assert!(verify(composed, &hash(decomposed).unwrap()).unwrap());
    }

    #[test]
    fn what_cannot_be_a_password_is_refused_with_the_reason() {
        let long = "x".repeat(LONGEST_BYTES + 1);
        for (text, expected) in [
            ("", Err(BadPassword::TooShort)),
            ("123456789", Err(BadPassword::TooShort)),
            ("ếếếếếếếếế", Err(BadPassword::TooShort)),
            ("1234567890", Ok(())),
            ("   một hai", Ok(())),
            (&long, Err(BadPassword::TooLong)),
            ("1234567890\n", Err(BadPassword::Control)),
            ("1234567890\0", Err(BadPassword::Control)),
            ("Nguyen.Van.A", Err(BadPassword::IsName)),
        ] {
            assert_eq!(check_new(text, "nguyen.van.a"), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_a_wrong_password_that_costs_as_much() {
        let checker = Checker::default();
        let stored = hash("một hai ba bốn").unwrap();
        assert!(checker.check("một hai ba bốn".to_owned(), Some(stored.clone())).await.unwrap());
        // As much: each of the three is verified against one hash, and the hashes differ in nothing that costs.
        let decoy = DECOY.as_ref().unwrap();
        let cost = |stored: &str| {
            let stored = PasswordHash::new(stored).unwrap();
            let lengths = (stored.salt.unwrap().len(), stored.hash.unwrap().len());
            (stored.algorithm.to_string(), stored.version, stored.params.to_string(), lengths)
        };
        assert_eq!(cost(decoy), cost(&stored));
        for (stored, verified) in [(Some(stored.clone()), &stored), (None, decoy)] {
            let before = VERIFIED.lock().iter().filter(|hash| *hash == verified).count();
            assert!(!checker.check("một hai".to_owned(), stored).await.unwrap());
            let after = VERIFIED.lock().iter().filter(|hash| *hash == verified).count();
            assert!(after > before, "it was not verified against a hash");
        }
    }

    #[tokio::test]
    async fn no_more_than_two_are_checked_at_once() {
        let checker = Arc::new(Checker::default());
        let many: Vec<_> = (0..6)
            .map(|_| {
                let checker = Arc::clone(&checker);
                tokio::spawn(async move { checker.check("x".to_owned(), None).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(checker.turns.available_permits(), 0);
        for check in many {
            assert!(!check.await.unwrap().unwrap());
        }
        assert_eq!(checker.turns.available_permits(), AT_ONCE);
    }
}
