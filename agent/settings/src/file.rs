//! Bytes of a file, and bytes as text.

use std::io::Read as _;
use std::path::Path;

use crate::mistake::{Mistake, Mistakes};

/// Most bytes of a configuration file, for [`read_file`]: a larger one is some other file.
pub const CONFIGURATION_BYTES: u64 = 1 << 20;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// One mistake that names the file: it cannot be read (and what the system says), or it is longer.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Mistakes> {
    let mistake = |found: String, expected: String, remedy: &str| {
        Mistakes::one(Mistake::of_file(path.display().to_string(), found, expected, remedy))
    };
    let unreadable = |error: std::io::Error| {
        let remedy = "check the path and that this user may read the file";
        mistake(format!("no readable file ({error})"), String::new(), remedy)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        let expected = format!("at most {}", crate::units::show_bytes(limit));
        return Err(mistake(format!("more than {limit} bytes"), expected, "is this the right file?"));
    }
    Ok(bytes)
}

/// `bytes` as UTF-8 without its byte order mark.
///
/// # Errors
/// One mistake with the line, column and number of the first byte that is not UTF-8.
pub fn utf8<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Mistakes> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => error,
    };
    let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
    let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    let in_line = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default());
    let found = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    Err(Mistakes::one(Mistake {
        file: file.to_owned(),
        line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
        column: 1 + in_line.chars().count(),
        key: format!("byte {}", error.valid_up_to() + 1),
        found: if utf16 { "UTF-16 text".to_owned() } else { format!("the byte 0x{found:02x}") },
        expected: "UTF-8 text".to_owned(),
        remedy: "save the file as UTF-8 (in Excel: “CSV UTF-8 (Comma delimited)”)".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_up_to_its_limit_is_read_and_a_longer_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(read_file(&path, 1 << 20).unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert_eq!(
            read_file(&path, 1 << 20).unwrap_err().to_string(),
            format!(
                "{}: found more than 1048576 bytes, expected at most 1MiB; is this the right file?\n1 mistake",
                path.display()
            )
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_with_what_the_system_says() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none.yaml"), folder.path().to_owned()] {
            let answer = read_file(&path, 10).unwrap_err().to_string();
            assert!(answer.starts_with(&format!("{}: found no readable file (", path.display())), "{answer}");
            assert!(answer.contains("; check the path and that this user may read the file"), "{answer}");
        }
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_named_by_line_and_byte() {
        assert_eq!(
            utf8("f.yaml", b"a: x\nb: T\xe2y Ninh\n").unwrap_err().iter().next().unwrap().to_string(),
            "f.yaml:2:5: byte 10: found the byte 0xe2, expected UTF-8 text; \
             save the file as UTF-8 (in Excel: “CSV UTF-8 (Comma delimited)”)"
        );
        assert_eq!(utf8("f.yaml", b"\xff\xfea\0").unwrap_err().iter().next().unwrap().found, "UTF-16 text");
        assert_eq!(utf8("f.yaml", "\u{feff}a".as_bytes()), Ok("a"));
    }
}
