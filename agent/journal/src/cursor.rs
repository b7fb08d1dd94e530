//! Named cursors: one small text file each, replaced as a whole.
//!
//! ```text
//! NAME.cursor1:   wan-journal cursor
//!                 seq 1234
//!                 crc 9f86d081
//! ```
//!
//! The CRC covers the name, the sequence number and the text around them, so that a file that was copied over
//! another's is noticed. A new content is written to `NAME.cursor1.tmp`, synced, renamed over the old file,
//! and the directory synced: at every instant one whole file has the name.

use crate::disk::{Disk, ReadAt, WriteAt, unless_read_only};
use crate::error::{Context, JournalError};
use crate::{Seq, disk::Entry};
use std::collections::BTreeMap;
use std::io;

const EXTENSION: &str = ".cursor1";
const TEMPORARY: &str = ".cursor1.tmp";

/// No cursor file is longer; a longer one is damaged.
const MAX_LEN: usize = 128;

#[derive(Debug, Clone, Copy)]
struct Cursor {
    seq: Seq,
    /// What the file says for certain, after a crash too; `None` when it is damaged or not there yet.
    saved: Option<Seq>,
}

/// The cursors of one journal, in memory and on disk.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    by_name: BTreeMap<String, Cursor>,
}

impl Cursors {
    /// Loads every cursor among `entries`; one whose file is damaged starts from `oldest` and is named in the
    /// answer. (A newer version's has another name. The damaged one stays until a new one replaces it: were it missing
    /// meanwhile, a crash would make the journal forget that this cursor holds frames back.)
    pub(crate) fn load<D: Disk>(
        disk: &D,
        entries: &[Entry],
        oldest: Seq,
    ) -> Result<(Self, Vec<String>), JournalError> {
        let mut cursors = Self::default();
        let mut damaged = Vec::new();
        for entry in entries {
            if entry.name.ends_with(TEMPORARY) && cursor_of(&entry.name, TEMPORARY).is_some() {
                // Left by a crash before the rename: the cursor's own file has the last durable content.
                unless_read_only(disk.remove(&entry.name))
                    .context("remove the half-written cursor", || disk.path(&entry.name))?;
            }
            let Some(name) = cursor_of(&entry.name, EXTENSION) else { continue };
            let saved = read(disk, &entry.name)
                .context("read the cursor", || disk.path(&entry.name))?
                .and_then(|bytes| parse(name, &bytes));
            if saved.is_none() {
                damaged.push(name.to_owned());
            }
            let cursor = Cursor { seq: saved.unwrap_or(oldest), saved };
            cursors.by_name.insert(name.to_owned(), cursor);
        }
        Ok((cursors, damaged))
    }

    /// Whether a file name is one that cursors use.
    pub(crate) fn owns(file_name: &str) -> bool {
        cursor_of(file_name, EXTENSION).or_else(|| cursor_of(file_name, TEMPORARY)).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Seq> {
        self.by_name.get(name).map(|cursor| cursor.seq)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Seq)> {
        self.by_name.iter().map(|(name, cursor)| (name.as_str(), cursor.seq))
    }

    /// The slowest cursor; `None` when there is none.
    pub(crate) fn slowest(&self) -> Option<Seq> {
        self.by_name.values().map(|cursor| cursor.seq).min()
    }

    pub(crate) fn furthest(&self) -> Option<Seq> {
        self.by_name.values().map(|cursor| cursor.seq).max()
    }

    /// Moves a cursor in memory.
    pub(crate) fn advance(&mut self, name: &str, seq: Seq) -> Result<(), JournalError> {
        check_name(name)?;
        match self.by_name.get_mut(name) {
            Some(cursor) => cursor.seq = seq,
            None => {
                self.by_name.insert(name.to_owned(), Cursor { seq, saved: None });
            }
        }
        Ok(())
    }

    /// Makes every cursor that moved durable.
    pub(crate) fn save<D: Disk>(&mut self, disk: &D) -> Result<(), JournalError> {
        let mut renamed = Vec::new();
        for (name, cursor) in self.by_name.iter_mut().filter(|(_, cursor)| cursor.saved != Some(cursor.seq)) {
            let temporary = format!("{name}{TEMPORARY}");
            let path = || disk.path(&temporary);
            // Left by an earlier attempt that failed.
            match disk.remove(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).context("remove the half-written cursor", path);
                }
                _ => {}
            }
            let mut file = disk.create(&temporary).context("create the cursor", path)?;
            file.write_all_at(0, encode(name, cursor.seq).as_bytes()).context("write the cursor", path)?;
            file.sync_data().context("sync the cursor", path)?;
            // From here until the directory is synced, a crash may leave either content.
            cursor.saved = None;
            let name = format!("{name}{EXTENSION}");
            disk.rename(&temporary, &name).context("replace the cursor", || disk.path(&name))?;
            renamed.push(cursor);
        }
        if !renamed.is_empty() {
            disk.sync_dir().context("sync the directory", || disk.path(""))?;
        }
        for cursor in renamed {
            cursor.saved = Some(cursor.seq);
        }
        Ok(())
    }

    pub(crate) fn remove<D: Disk>(&mut self, disk: &D, name: &str) -> Result<bool, JournalError> {
        if self.by_name.remove(name).is_none() {
            return Ok(false);
        }
        let name = format!("{name}{EXTENSION}");
        match disk.remove(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.context("remove the cursor", || disk.path(&name))?,
        }
        disk.sync_dir().context("sync the directory", || disk.path(""))?;
        Ok(true)
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), JournalError> {
    if is_name(name) { Ok(()) } else { Err(JournalError::CursorName { name: name.to_owned() }) }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn cursor_of<'n>(file_name: &'n str, extension: &str) -> Option<&'n str> {
    file_name.strip_suffix(extension).filter(|name| is_name(name))
}

fn encode(name: &str, seq: Seq) -> String {
    let text = format!("wan-journal cursor\nseq {}\n", seq.0);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(text.as_bytes());
    format!("{text}crc {:08x}\n", hasher.finalize())
}

fn parse(name: &str, bytes: &[u8]) -> Option<Seq> {
    let text = std::str::from_utf8(bytes).ok()?;
    let seq = Seq(text.lines().nth(1)?.strip_prefix("seq ")?.parse().ok()?);
    (encode(name, seq) == text).then_some(seq)
}

/// The whole file; `None` when it is longer than any cursor.
fn read<D: Disk>(disk: &D, name: &str) -> io::Result<Option<Vec<u8>>> {
    let source = disk.open(name)?;
    let mut bytes = vec![0; MAX_LEN + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read_at(filled as u64, &mut bytes[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok((filled <= MAX_LEN).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_cursor_is_frozen() {
        assert_eq!(encode("forward", Seq(1234)), "wan-journal cursor\nseq 1234\ncrc a792ae3e\n");
    }

    #[test]
    fn only_the_exact_text_is_a_cursor() {
        let text = encode("forward", Seq(1234));
        assert_eq!(parse("forward", text.as_bytes()), Some(Seq(1234)));
        assert_eq!(parse("ledger", text.as_bytes()), None, "another cursor's file");
        for at in 0..text.len() {
            assert_eq!(parse("forward", &text.as_bytes()[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert_eq!(parse("forward", &bytes), None, "bit {bit} of byte {at}");
            }
        }
        assert_eq!(parse("forward", text.replace("1234", "01234").as_bytes()), None);
    }

    #[test]
    fn a_name_is_a_plain_slug() {
        assert!(is_name("forward-2"));
        for bad in ["", "a/b", "..", "A", "a.b", "đ", &"x".repeat(65)] {
            assert!(matches!(check_name(bad), Err(JournalError::CursorName { .. })), "{bad}");
        }
    }
}
