//! The offsets under which rounds without one were sent: a small file beside the segments.
//!
//! A round that waits on the disk from before the first contact of its boot has no offset, and its bytes are not written
//! again. So that it is sent under one time whatever happens, its boot's offset is written down, durably, before the first
//! round of that boot is sent, and holds from then on for all of them: one boot, one offset.
//!
//! ```text
//! offsets:  wan-agent offsets 1
//!           3f2504e0-4f89-41d3-9a0c-0305e82c3301 1795413068001
//!           crc 9f86d081
//! ```

use std::collections::BTreeMap;
use std::io;

use wan_journal::{Disk, ReadAt, WriteAt};

/// Its name; the journal takes it for a foreign file and leaves it alone.
pub(super) const FILE: &str = "offsets";
/// What is written before it is renamed.
pub(super) const TEMPORARY: &str = "offsets.tmp";

const HEAD: &str = "wan-agent offsets 1";
/// A longer file is damaged: it has a line for each boot whose rounds wait.
const MOST_BYTES: usize = 256 << 10;

/// The offsets of boots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    known: BTreeMap<String, i64>,
    is_saved: bool,
}

impl Offsets {
    /// What the file says; `None` when it is damaged, or a newer version's.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn load<D: Disk>(disk: &D) -> io::Result<Option<Offsets>> {
        let source = match disk.open(FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Offsets::saved())),
            opened => opened?,
        };
        let mut bytes = vec![0; 4096];
        let mut filled = 0;
        loop {
            match source.read_at(filled as u64, &mut bytes[filled..])? {
                0 => break,
                read => filled += read,
            }
            if filled == bytes.len() {
                bytes.resize(2 * filled, 0);
            }
            if filled > MOST_BYTES {
                return Ok(None);
            }
        }
        Ok(parse(&bytes[..filled]))
    }

    /// The offset of a boot.
    pub(super) fn of(&self, boot: &str) -> Option<i64> {
        self.known.get(boot).copied()
    }

    /// From now on the offset of a boot. Nothing may be sent under it before [`Offsets::save`].
    pub(super) fn set(&mut self, boot: &str, offset: i64) {
        self.known.insert(boot.to_owned(), offset);
        self.is_saved = false;
    }

    /// No round waits any more.
    pub(super) fn forget(&mut self) {
        self.is_saved &= self.known.is_empty();
        self.known.clear();
    }

    /// The next [`Offsets::save`] writes, whether or not there is something new.
    pub(super) fn write_again(&mut self) {
        self.is_saved = false;
    }

    /// Whether they are durable.
    pub(super) fn is_saved(&self) -> bool {
        self.is_saved
    }

    /// Makes them durable, unless they are.
    ///
    /// # Errors
    /// The file system refused.
    pub(super) fn save<D: Disk>(&mut self, disk: &D) -> io::Result<()> {
        if self.is_saved {
            return Ok(());
        }
        match disk.remove(TEMPORARY) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = disk.create(TEMPORARY)?;
        file.write_all_at(0, render(&self.known).as_bytes())?;
        file.sync_data()?;
        disk.rename(TEMPORARY, FILE)?;
        disk.sync_dir()?;
        self.is_saved = true;
        Ok(())
    }

    fn saved() -> Offsets {
        Offsets { known: BTreeMap::new(), is_saved: true }
    }
}

fn render(known: &BTreeMap<String, i64>) -> String {
    let mut text = format!("{HEAD}\n");
    // An id from a damaged host could hold a line break; without its line it is merely asked about again.
    for (boot, offset) in known.iter().filter(|(boot, _)| !boot.contains(char::is_whitespace)) {
        text.push_str(&format!("{boot} {offset}\n"));
    }
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}crc {crc:08x}\n")
}

fn parse(bytes: &[u8]) -> Option<Offsets> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut known = BTreeMap::new();
    for line in text.lines().skip(1).take_while(|line| !line.starts_with("crc ")) {
        let (boot, offset) = line.split_once(' ')?;
        known.insert(boot.to_owned(), offset.parse().ok()?);
    }
    (render(&known) == text).then_some(Offsets { known, is_saved: true })
}

#[cfg(test)]
mod tests {
    use wan_journal::sim::SimDisk;

    use super::*;

    #[test]
    fn what_was_saved_is_there_after_a_crash_and_damage_is_noticed() {
        let disk = SimDisk::new(1);
        let mut offsets = Offsets::load(&disk).unwrap().unwrap();
        offsets.set("a-boot", -5);
        offsets.set("", 7);
        offsets.save(&disk).unwrap();
        offsets.set("never saved", 1);
        disk.crash();
        let loaded = Offsets::load(&disk).unwrap().unwrap();
        assert_eq!((loaded.of("a-boot"), loaded.of(""), loaded.of("never saved")), (Some(-5), Some(7), None));
        let whole = disk.contents(FILE);
        for at in 0..whole.len() {
            disk.corrupt(FILE, |bytes| bytes[at] ^= 1);
            assert_eq!(Offsets::load(&disk).unwrap(), None, "{at}");
            disk.corrupt(FILE, |bytes| bytes[at] ^= 1);
        }
        disk.corrupt(FILE, |bytes| bytes.resize(MOST_BYTES * 2, b'x'));
        assert_eq!(Offsets::load(&disk).unwrap(), None);
    }
}
