//! What must outlive a boot: the offsets of former boots, and the last time that was known to be right.
//!
//! A small text file with a checksum, replaced as a whole:
//!
//! ```text
//! wanwatch-clock 1
//! good 1795425049123
//! boot 410b79a4-c0cf-473a-9230-16b710df59e2 anchor 1795413068001 applied 1795413068003 first 31007 -57 kept last 3600112 12 within 1795413067990 1795413068015
//! sum 8a3c1f02
//! ```
//!
//! A line `boot` is one boot that was in contact: the offset learnt first (which dates its rounds from before), the offset
//! that was applied last, its first and last contact (time since boot, and by how much the host's clock was ahead of the
//! collector's), whether the host's clock had kept the right time until the first contact by itself, and the bounds of the
//! offset at the last contact. Times are milliseconds.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wan_wire::UnixMillis;

use super::offset::Estimate;
use super::stamp::wall_at;

/// Boots that are remembered. Rounds wait at most 30 days by default: two boots a day all the while.
pub const MOST_BOOTS: usize = 64;
/// A longer file is none of ours: 64 lines of some 250 bytes are 16 KB.
const MOST_BYTES: u64 = 64 * 1024;
/// Names under which files that cannot be read are kept aside.
const MOST_ASIDE: u32 = 8;

const HEAD: &str = "wanwatch-clock 1";
const NAME: &str = "clock";

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// The last time that was known to be right; zero when none was.
    pub good: UnixMillis,
    /// The boots that were in contact, oldest first.
    pub boots: Vec<BootMemory>,
}

/// What is remembered of one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootMemory {
    /// Its random id.
    pub id: String,
    /// The offset that was learnt first.
    pub anchor: i64,
    /// The offset that was applied last.
    pub applied: i64,
    /// Its first contact.
    pub first: Contact,
    /// Whether the host's clock was right at the first contact without having been set in this boot.
    pub kept: bool,
    /// Its last contact that was written down.
    pub last: Contact,
    /// The offset's bounds then.
    pub estimate: Estimate,
}

/// One contact with the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// When, in milliseconds since boot.
    pub since_boot: u64,
    /// The host's clock less the collector's, in milliseconds.
    pub error: i64,
}

impl BootMemory {
    /// When the host booted.
    pub fn began(&self) -> UnixMillis {
        UnixMillis(self.anchor)
    }

    /// When it was last in contact.
    pub fn last_seen(&self) -> UnixMillis {
        wall_at(self.last.since_boot, self.applied)
    }
}

/// Why a file is not this memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Its first line is another.
    #[error("it does not begin with `{HEAD}`: written by another program or a newer version")]
    Foreign,
    /// It is cut short or was changed.
    #[error("its checksum does not fit: it is cut short or damaged")]
    Damaged,
    /// A line makes no sense although the checksum fits.
    #[error("line {0} makes no sense")]
    Line(usize),
}

impl Memory {
    /// What is remembered of a boot.
    pub fn boot(&self, id: &str) -> Option<&BootMemory> {
        self.boots.iter().find(|boot| boot.id == id)
    }

    /// The same, to change.
    pub fn boot_mut(&mut self, id: &str) -> Option<&mut BootMemory> {
        self.boots.iter_mut().find(|boot| boot.id == id)
    }

    /// Adds a boot, and forgets the oldest over the limit.
    pub fn add(&mut self, boot: BootMemory) {
        self.boots.push(boot);
        let over = self.boots.len().saturating_sub(MOST_BOOTS);
        self.boots.drain(..over);
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let mut text = format!("{HEAD}\ngood {}\n", self.good.as_millis());
        // A boot without an id cannot be told from another.
        for boot in self.boots.iter().filter(|boot| !boot.id.is_empty()) {
            let kept = if boot.kept { "kept" } else { "set" };
            text.push_str(&format!(
                "boot {} anchor {} applied {} first {} {} {kept} last {} {} within {} {}\n",
                boot.id,
                boot.anchor,
                boot.applied,
                boot.first.since_boot,
                boot.first.error,
                boot.last.since_boot,
                boot.last.error,
                boot.estimate.low,
                boot.estimate.high,
            ));
        }
        let sum = crc32fast::hash(text.as_bytes());
        text.push_str(&format!("sum {sum:08x}\n"));
        text
    }

    /// Reads the file's text.
    pub fn parse(text: &[u8]) -> Result<Memory, ReadError> {
        let text = std::str::from_utf8(text).map_err(|_| ReadError::Foreign)?;
        if text.lines().next() != Some(HEAD) {
            return Err(ReadError::Foreign);
        }
        let (body, sum) = text.rfind("sum ").map(|at| text.split_at(at)).ok_or(ReadError::Damaged)?;
        if sum != format!("sum {:08x}\n", crc32fast::hash(body.as_bytes())) {
            return Err(ReadError::Damaged);
        }
        let mut memory = Memory::default();
        for (number, line) in body.lines().enumerate().skip(1) {
            let words: Vec<&str> = line.split(' ').collect();
            let read = match words.as_slice() {
                ["good", good] => good.parse().ok().map(|good| memory.good = UnixMillis(good)),
                ["boot", rest @ ..] => parse_boot(rest).map(|boot| memory.add(boot)),
                _ => None,
            };
            read.ok_or(ReadError::Line(number + 1))?;
        }
        Ok(memory)
    }
}

fn parse_boot(words: &[&str]) -> Option<BootMemory> {
    let [
        id,
        "anchor",
        anchor,
        "applied",
        applied,
        "first",
        first_at,
        first_error,
        kept,
        "last",
        last_at,
        last_error,
        "within",
        low,
        high,
    ] = words
    else {
        return None;
    };
    let contact =
        |at: &str, error: &str| Some(Contact { since_boot: at.parse().ok()?, error: error.parse().ok()? });
    let last = contact(last_at, last_error)?;
    let kept = match *kept {
        "kept" => true,
        "set" => false,
        _ => return None,
    };
    let estimate = Estimate { low: low.parse().ok()?, high: high.parse().ok()?, at: last.since_boot };
    (!id.is_empty() && estimate.low <= estimate.high).then_some(())?;
    Some(BootMemory {
        id: (*id).to_owned(),
        anchor: anchor.parse().ok()?,
        applied: applied.parse().ok()?,
        first: contact(first_at, first_error)?,
        kept,
        last,
        estimate,
    })
}

/// The file in the agent's data folder.
#[derive(Debug, Clone)]
pub struct MemoryFile {
    folder: PathBuf,
}

/// What was found at the start.
#[derive(Debug)]
pub struct Loaded {
    /// What is remembered.
    pub memory: Memory,
    /// What went wrong, for people.
    pub trouble: Option<String>,
}

impl MemoryFile {
    /// In this folder.
    pub fn in_folder(folder: &Path) -> MemoryFile {
        MemoryFile { folder: folder.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Reads it. What cannot be read is kept aside under another name, and the memory starts empty.
    pub fn load(&self) -> Loaded {
        let path = self.path();
        let found = match read(&path) {
            Ok(bytes) => Memory::parse(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Loaded { memory: Memory::default(), trouble: None };
            }
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(memory) => Loaded { memory, trouble: None },
            Err(why) => {
                let shown = path.display();
                let trouble = match self.set_aside(&path) {
                    Ok(aside) => format!("{shown}: {why}; it is kept as {}", aside.display()),
                    Err(error) => format!("{shown}: {why}; it cannot be set aside: {error}"),
                };
                Loaded { memory: Memory::default(), trouble: Some(trouble) }
            }
        }
    }

    /// Replaces it: after a power cut at any moment it is the old one or the new one.
    pub fn save(&self, text: &str) -> Result<(), String> {
        let (path, new) = (self.path(), self.folder.join(format!("{NAME}.new")));
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let name = |number| self.folder.join(format!("{NAME}.bad-{number}"));
        let free = (1..MOST_ASIDE).map(name).find(|aside| !aside.exists());
        let aside = free.unwrap_or_else(|| name(MOST_ASIDE));
        fs::rename(path, &aside)?;
        Ok(aside)
    }
}

/// The file's bytes, as far as one of ours could reach.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
