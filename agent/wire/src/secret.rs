//! The text of secrets and tokens: a prefix and 256 random bits.
//!
//! `wan_` is the secret by which an agent proves its site, `wane_` the one-time token by which it has its first secret
//! accepted. Behind the prefix stand 43 characters of base64url (RFC 4648, section 5, no padding). The prefix lets secret
//! scanners find a leaked one, and tells a person who mixes the two up which is which.
//!
//! An agent makes its secret itself and shows only the SHA-256 of it when it enrols. So a request whose answer was lost is
//! simply sent again: the collector recognises it by that hash and no second secret comes into being.

/// What an agent's secret begins with.
pub const SECRET_PREFIX: &str = "wan_";
/// What a one-time token begins with.
pub const TOKEN_PREFIX: &str = "wane_";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Characters that 32 bytes take.
const LENGTH: usize = 43;

/// The text of 256 random bits.
#[must_use]
pub fn write(prefix: &str, bytes: &[u8; 32]) -> String {
    let mut text = String::from(prefix);
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
    text
}

/// Whether `text` is one, with this prefix.
#[must_use]
pub fn is(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).map(str::as_bytes);
    digits.is_some_and(|digits| digits.len() == LENGTH && digits.iter().all(|digit| ALPHABET.contains(digit)))
}

/// A SHA-256 as 64 hexadecimal digits.
#[must_use]
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 that `text` is.
#[must_use]
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        let (&high, &low) = (pair.first()?, pair.get(1)?);
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_prefix_and_base64url_of_32_bytes() {
        // RFC 4648's alphabet at both ends, checked against `basenc --base64url`.
        assert_eq!(write(SECRET_PREFIX, &[0; 32]), format!("wan_{}", "A".repeat(43)));
        assert_eq!(write(TOKEN_PREFIX, &[0xff; 32]), format!("wane_{}8", "_".repeat(42)));
        let bytes: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(write(SECRET_PREFIX, &bytes), "wan_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    }

    #[test]
    fn a_secret_is_told_from_a_token_and_from_anything_else() {
        let (secret, token) = (write(SECRET_PREFIX, &[7; 32]), write(TOKEN_PREFIX, &[7; 32]));
        assert!(is(SECRET_PREFIX, &secret) && !is(TOKEN_PREFIX, &secret));
        assert!(is(TOKEN_PREFIX, &token) && !is(SECRET_PREFIX, &token));
        for text in
            ["", "wane_", "wane_é", &token[..token.len() - 1], &format!("{token}A"), &format!(" {token}")]
        {
            assert!(!is(TOKEN_PREFIX, text), "{text}");
        }
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        let hash: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 8).unwrap());
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        assert_eq!(unhex(&hex(&hash).to_uppercase()), Some(hash));
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
