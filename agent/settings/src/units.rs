//! Durations, sizes and shares as people write them: `15s`, `35d`, `64MiB`, `70%`.

use std::time::Duration;

/// What [`share`] expects, for messages.
pub const SHARE: &str = "a share from 0 to 1, or a percentage such as 70%";

/// A duration with a unit: `ms`, `s`, `m`, `h`, `d` (24 h) or `w`. Several may follow each other: `1h30m`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?.trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let factor: u64 = match rest.get(..letters)? {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(factor)?)?;
        rest = rest.get(letters..)?.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// A duration as [`duration`] reads it, in the largest unit that divides it.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (factor, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if ms >= factor && ms.is_multiple_of(factor) {
            return format!("{}{unit}", ms / factor);
        }
    }
    format!("{ms}ms")
}

/// A size in bytes with a binary (`KiB`, `MiB`, `GiB`, `TiB`) or decimal (`kB`, `MB`, `GB`, `TB`) unit, or a bare number.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text.get(..digits)?.parse().ok()?;
    let factor: u64 = match text.get(digits..)?.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        _ => return None,
    };
    count.checked_mul(factor)
}

/// A size as [`bytes`] reads it, in the largest binary unit that divides it.
pub fn show_bytes(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// A share from 0 to 1, written as such (`0.7`) or as a percentage (`70%`, `99,5 %`).
pub fn share(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, exponent) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), "e-2"),
        None => (text, ""),
    };
    let plain = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    if number.is_empty() || !number.chars().all(plain) {
        return None;
    }
    // Moved by the exponent and not divided, 99.9 % is the number that 0.999 is.
    let value: f64 = (number.replace(',', ".") + exponent).parse().ok()?;
    (0.0..=1.0).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("15s"), Some(Duration::from_secs(15)));
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("35d"), Some(Duration::from_secs(35 * 86_400)));
        for bad in
            ["", "15", "s", "-3s", "1.5h", "3 parsecs", "99999999999999999999d", "18446744073709551615d"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_know_binary_and_decimal_units() {
        assert_eq!(bytes("4MiB"), Some(4 << 20));
        assert_eq!(bytes("1 MB"), Some(1_000_000));
        assert_eq!(bytes("17"), Some(17));
        for bad in ["", "MiB", "4 mib", "-1", "99999999999999TiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn shares_are_fractions_or_percentages() {
        assert_eq!(share("0.7"), Some(0.7));
        assert_eq!(share("70%"), Some(0.7));
        assert_eq!(share("99,5 %"), Some(0.995));
        assert_eq!(share("99.9%"), Some(0.999));
        for bad in ["", "70", "-0.1", "101%", "NaN", "inf", "1e-1", "0x1"] {
            assert_eq!(share(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_back(ms in 0u64..10_000_000_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(duration(&show_duration(d)), Some(d));
        }

        #[test]
        fn a_shown_size_reads_back(count in any::<u64>(), shift in 0u32..64) {
            let size = count << shift;
            prop_assert_eq!(bytes(&show_bytes(size)), Some(size));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in any::<String>()) {
            let _ = (duration(&text), bytes(&text), share(&text));
        }
    }
}
