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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boot(number: i64) -> BootMemory {
        BootMemory {
            id: format!("410b79a4-c0cf-473a-9230-{number:012}"),
            anchor: 1_795_413_068_000 + number * 3_600_000,
            applied: 1_795_413_068_003 + number * 3_600_000,
            first: Contact { since_boot: 31_007, error: -57 },
            kept: number % 2 == 0,
            last: Contact { since_boot: 3_600_112, error: 12 },
            estimate: Estimate { low: 1_795_413_067_990, high: 1_795_413_068_015, at: 3_600_112 },
        }
    }

    fn memory(boots: i64) -> Memory {
        Memory { good: UnixMillis(1_795_425_049_123), boots: (0..boots).map(boot).collect() }
    }

    /// The files in a folder, by name.
    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_documented_file_is_what_is_written() {
        let mut one = boot(0);
        one.id = "410b79a4-c0cf-473a-9230-16b710df59e2".into();
        one.anchor += 1;
        let text = Memory { boots: vec![one], ..memory(0) }.render();
        let (body, _sum) = text.rsplit_once("sum ").unwrap();
        assert_eq!(
            body,
            "wanwatch-clock 1\n\
             good 1795425049123\n\
             boot 410b79a4-c0cf-473a-9230-16b710df59e2 anchor 1795413068001 applied 1795413068003 \
             first 31007 -57 kept last 3600112 12 within 1795413067990 1795413068015\n"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        for boots in [0, 1, 64] {
            let memory = memory(boots);
            assert_eq!(Memory::parse(memory.render().as_bytes()), Ok(memory));
        }
        let text = memory(64).render();
        assert!(u64::try_from(text.len()).unwrap() < MOST_BYTES / 2, "{} bytes", text.len());
    }

    #[test]
    fn the_oldest_boots_are_forgotten_first() {
        let mut memory = memory(64);
        memory.add(boot(64));
        assert_eq!(memory.boots.len(), MOST_BOOTS);
        assert_eq!((memory.boots.first(), memory.boots.last()), (Some(&boot(1)), Some(&boot(64))));
    }

    #[test]
    fn a_file_of_another_kind_or_a_newer_version_is_foreign() {
        let newer = memory(1).render().replace("wanwatch-clock 1", "wanwatch-clock 2");
        for foreign in ["", "\n", "{}", "wanwatch-clock", newer.as_str()] {
            assert_eq!(Memory::parse(foreign.as_bytes()), Err(ReadError::Foreign), "{foreign:?}");
        }
        assert_eq!(Memory::parse(b"\xff\xfe"), Err(ReadError::Foreign));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        let sealed = |body: &str| format!("{body}sum {:08x}\n", crc32fast::hash(body.as_bytes()));
        let whole = memory(1).render();
        let (body, _) = whole.rsplit_once("sum ").unwrap();
        for wrong in [
            body.replace("good", "bad"),
            body.replace("kept", "perhaps"),
            body.replace("within 1795413067990", "within 1795413069000"),
            body.replace("anchor 1795413068000", "anchor 99999999999999999999"),
            body.replace(" last", ""),
            format!("{body}\n"),
        ] {
            assert!(matches!(Memory::parse(sealed(&wrong).as_bytes()), Err(ReadError::Line(_))), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_kept_aside_and_the_next_one_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = MemoryFile::in_folder(folder.path());
        assert!(file.load().trouble.is_none(), "no file is no trouble");
        for number in 1..=10 {
            fs::write(file.path(), format!("rubbish {number}")).unwrap();
            let loaded = file.load();
            assert_eq!(loaded.memory, Memory::default());
            assert!(loaded.trouble.unwrap().contains("kept as"));
        }
        assert_eq!(names(folder.path()), (1..=8).map(|n| format!("clock.bad-{n}")).collect::<Vec<_>>());
        assert_eq!(fs::read_to_string(folder.path().join("clock.bad-1")).unwrap(), "rubbish 1");
        file.save(&memory(2).render()).unwrap();
        assert_eq!(file.load().memory, memory(2));
    }

    #[test]
    fn a_folder_in_the_way_and_a_huge_file_are_said_and_survived() {
        let folder = tempfile::tempdir().unwrap();
        let file = MemoryFile::in_folder(&folder.path().join("new/data"));
        file.save(&memory(1).render()).unwrap();
        assert_eq!(file.load().memory, memory(1));
        fs::write(file.path(), memory(1).render() + &"x".repeat(1 << 20)).unwrap();
        assert!(file.load().trouble.unwrap().contains("checksum"));
        fs::create_dir(file.path()).unwrap();
        assert!(file.load().trouble.is_some());
        fs::write(folder.path().join("plain"), "").unwrap();
        let impossible = MemoryFile::in_folder(&folder.path().join("plain"));
        assert!(impossible.save("").is_err());
    }

    proptest! {
        #[test]
        fn a_file_that_is_cut_or_changed_anywhere_is_never_believed(boots in 0i64..4, at: prop::sample::Index, to: u8) {
            let whole = memory(boots).render();
            let cut = &whole.as_bytes()[..at.index(whole.len())];
            prop_assert!(Memory::parse(cut).is_err());
            let mut changed = whole.clone().into_bytes();
            let at = at.index(changed.len());
            prop_assume!(changed[at] != to);
            changed[at] = to;
            prop_assert!(Memory::parse(&changed).is_err());
        }

        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>) {
            let _ = Memory::parse(&bytes);
            let mut headed = b"wanwatch-clock 1\n".to_vec();
            headed.extend(bytes);
            let _ = Memory::parse(&headed);
        }
    }
}
