//! The last good document on disk: one file that is the old one or the new one after a power cut at any moment, and of which a
//! flipped bit is noticed.
//!
//! Its first line is a YAML comment with ETag and SHA-256; the rest is the document as it came.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::MOST_BYTES;

/// The file's name in the data folder.
pub const NAME: &str = "central.yaml";

const MARK: &str = "# wan-agent's last good central configuration; sha256 ";
/// Damaged files that are kept aside, at most.
const MOST_ASIDE: u32 = 3;

/// A document that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its ETag.
    pub etag: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// The kept document, if there is one. What is no whole file of ours is kept aside under another name.
pub(super) fn load(file: &Path) -> Result<Option<Kept>, String> {
    let found = match read(file) {
        Ok(bytes) => parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A disk that cannot be read now may be readable later: nothing is moved.
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    found.map(Some).map_err(|why| {
        let shown = file.display();
        match set_aside(file) {
            Ok(aside) => format!("{shown}: {why}; it is kept as {}", aside.display()),
            Err(error) => format!("{shown}: {why}; it cannot be set aside: {error}"),
        }
    })
}

/// Replaces the kept document.
pub(super) fn save(file: &Path, etag: &str, body: &[u8]) -> Result<(), String> {
    let new = file.with_extension("yaml.new");
    let write = || -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut out = File::create(&new)?;
        out.write_all(&compose(etag, body))?;
        out.sync_all()?;
        fs::rename(&new, file)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| format!("{}: {error}", file.display()))
}

fn compose(etag: &str, body: &[u8]) -> Vec<u8> {
    let etag: String = etag.chars().filter(|c| !c.is_control()).collect();
    let mut bytes = format!("{MARK}{} etag {etag}\n", sum(&etag, body)).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Kept, String> {
    let foreign = || "not a file of this agent".to_owned();
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(foreign)?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).ok().and_then(|head| head.strip_prefix(MARK)).ok_or_else(foreign)?;
    let (written, etag) = head.split_once(" etag ").ok_or_else(foreign)?;
    if written != sum(etag, body) {
        return Err("damaged: its checksum is another one".to_owned());
    }
    Ok(Kept { etag: etag.to_owned(), body: body.to_vec() })
}

fn sum(etag: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(etag.as_bytes());
    hash.update(b"\n");
    hash.update(body);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(4096);
    File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let name = |number| file.with_extension(format!("yaml.bad-{number}"));
    let free = (1..MOST_ASIDE).map(name).find(|aside| !aside.exists());
    let aside = free.unwrap_or_else(|| name(MOST_ASIDE));
    fs::rename(file, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_kept_document_comes_back_and_a_new_one_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data").join(NAME);
        assert_eq!(load(&file), Ok(None));
        save(&file, "\"a\"", b"round: {interval: 2s}\n").unwrap();
        save(&file, "\"b\"", b"").unwrap();
        assert_eq!(load(&file), Ok(Some(Kept { etag: "\"b\"".into(), body: Vec::new() })));
        let names: Vec<_> =
            fs::read_dir(file.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [NAME], "nothing is left beside it");
    }

    #[test]
    fn what_is_not_whole_is_kept_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        for (number, bytes) in ["", "links: []\n", MARK, "\u{0}\u{0}"].iter().enumerate() {
            fs::write(&file, bytes).unwrap();
            let trouble = load(&file).unwrap_err();
            assert!(trouble.contains("not a file of this agent; it is kept as "), "{trouble}");
            assert!(!file.exists());
            let kept = fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(kept, (number + 1).min(3));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = save(&file.join(NAME), "\"a\"", b"").unwrap_err();
        assert!(error.contains("central.yaml"), "{error}");
    }

    proptest! {
        #[test]
        fn a_flipped_or_missing_byte_is_noticed(at in 0usize..140, cut: bool, with in 1u8..=255) {
            let body = b"round:\n  interval: 10s\n";
            let good = compose("\"abc\"", body);
            let mut bytes = good.clone();
            if cut { bytes.truncate(at.min(good.len() - 1)); } else if let Some(byte) = bytes.get_mut(at) { *byte ^= with; }
            if bytes != good {
                prop_assert!(parse(&bytes).is_err());
            }
        }
    }
}
