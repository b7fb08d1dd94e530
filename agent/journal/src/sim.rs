//! A simulated disk that keeps no promise that a real one does not make.
//!
//! What was not synced is lost, kept or torn at a crash, sector by sector and in any order; a lost sector
//! reads as zeros or as what the block held before. Names that were created, renamed or removed since the
//! directory was synced are kept or lost one by one. A failed sync forgets the writes it was for, and the
//! next one succeeds without them, as Linux does. Space runs out, in the middle of a write. Everything
//! follows from one seed.

use crate::disk::{Disk, Entry, ReadAt, WriteAt};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The unit in which a crash keeps or loses what was written.
const SECTOR: usize = 512;

/// A simulated directory. Clones are the same directory.
#[derive(Debug, Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Debug)]
struct World {
    random: u64,
    files: BTreeMap<u64, Contents>,
    next_inode: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    capacity: u64,
    /// Of the coming changing operations: so many succeed, then so many fail.
    faults: (u32, u32),
    read_only: bool,
    locked: bool,
    syncs: u64,
}

#[derive(Debug, Default)]
struct Contents {
    durable: Vec<u8>,
    cached: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug)]
enum NameChange {
    Created(String, u64),
    Renamed(String, String),
    Removed(String),
}

/// A file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    inode: u64,
}

/// The lock of a [`SimDisk`].
#[derive(Debug)]
pub struct SimLock(SimDisk);

impl SimDisk {
    /// An empty directory, whose every accident follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let world = World {
            random: seed,
            files: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            capacity: u64::MAX,
            faults: (0, 0),
            read_only: false,
            locked: false,
            syncs: 0,
        };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// The power fails: what was not synced is kept, lost or torn. Journals and files that are open must be
    /// dropped before.
    pub fn crash(&self) {
        self.world().crash();
    }

    /// Lets the next `good` operations that change something succeed and the `bad` after them fail with an
    /// I/O error.
    pub fn fail(&self, good: u32, bad: u32) {
        self.world().faults = (good, bad);
    }

    /// Limits the files to `free` more bytes than they have now; `None` for no limit.
    pub fn leave_free(&self, free: Option<u64>) {
        let mut world = self.world();
        world.capacity = free.map_or(u64::MAX, |free| world.used() + free);
    }

    /// Whether every operation that changes something, syncs too, is refused as on a file system that was mounted read-only
    /// after an error.
    pub fn set_read_only(&self, read_only: bool) {
        self.world().read_only = read_only;
    }

    /// The names of all files, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }

    /// What a file reads as; empty when there is none.
    #[must_use]
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let world = self.world();
        let inode = world.names.get(name);
        inode.and_then(|inode| world.files.get(inode)).map(|file| file.cached.clone()).unwrap_or_default()
    }

    /// Changes a file behind everyone's back, on the medium and in the cache; makes it when there is none.
    pub fn corrupt(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut world = self.world();
        let inode = match world.names.get(name) {
            Some(inode) => *inode,
            None => {
                let inode = world.add_file();
                world.names.insert(name.to_owned(), inode);
                world.durable_names.insert(name.to_owned(), inode);
                inode
            }
        };
        if let Some(file) = world.files.get_mut(&inode) {
            change(&mut file.durable);
            change(&mut file.cached);
        }
    }

    /// How many syncs of files and of the directory were asked for.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, inode: u64) -> SimFile {
        SimFile { disk: self.clone(), inode }
    }
}

impl World {
    /// SplitMix64, by Steele, Lea and Flood: one word of state, good enough to throw dice.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % (end.max(1) as u64)).unwrap_or_default()
    }

    fn used(&self) -> u64 {
        let named = self.names.values().filter_map(|inode| self.files.get(inode));
        named.map(|file| file.cached.len() as u64).sum()
    }

    fn add_file(&mut self) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.files.insert(inode, Contents::default());
        inode
    }

    fn operation(&mut self) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        match &mut self.faults {
            (0, 0) => Ok(()),
            (0, bad) => {
                *bad -= 1;
                Err(io::Error::other("simulated input/output error"))
            }
            (good, _) => {
                *good -= 1;
                Ok(())
            }
        }
    }

    fn crash(&mut self) {
        // Some crashes keep nearly all, some nearly nothing.
        let kept_percent = [0, 10, 50, 90, 100][self.below(5)];
        for change in std::mem::take(&mut self.unsynced_names) {
            if self.below(100) < kept_percent {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let mut files = std::mem::take(&mut self.files);
        files.retain(|inode, _| self.names.values().any(|named| named == inode));
        for file in files.values_mut() {
            let mut pieces: Vec<Change> =
                std::mem::take(&mut file.unsynced).into_iter().flat_map(sectors).collect();
            for left in (1..pieces.len()).rev() {
                let other = self.below(left + 1);
                pieces.swap(left, other);
            }
            for mut piece in pieces {
                let kept = self.below(100) < kept_percent;
                if let Change::Write(offset, bytes) = &mut piece {
                    // A lost sector within the file is what its block held before: mostly zeros, sometimes an
                    // old file.
                    let garbage = !kept && self.below(10) == 0 && *offset >= file.durable.len();
                    if garbage {
                        bytes.iter_mut().for_each(|byte| *byte = self.draw().to_le_bytes()[0]);
                    } else if kept && self.below(10) == 0 {
                        bytes.truncate(self.below(bytes.len()));
                    } else if !kept {
                        continue;
                    }
                } else if !kept {
                    continue;
                }
                piece.apply(&mut file.durable);
            }
            file.cached = file.durable.clone();
        }
        self.files = files;
        self.faults = (0, 0);
        self.locked = false;
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(len) => to.resize(*len, 0),
        }
    }
}

impl NameChange {
    fn apply(&self, to: &mut BTreeMap<String, u64>) {
        match self {
            Self::Created(name, inode) => {
                to.insert(name.clone(), *inode);
            }
            Self::Renamed(from, new) => {
                if let Some(inode) = to.remove(from) {
                    to.insert(new.clone(), inode);
                }
            }
            Self::Removed(name) => {
                to.remove(name);
            }
        }
    }
}

fn sectors(change: Change) -> Vec<Change> {
    let Change::Write(mut offset, mut bytes) = change else { return vec![change] };
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let rest = bytes.split_off(bytes.len().min(SECTOR - offset % SECTOR));
        let len = bytes.len();
        pieces.push(Change::Write(offset, std::mem::replace(&mut bytes, rest)));
        offset += len;
    }
    pieces
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    type File = SimFile;
    type Source = SimFile;
    type Lock = SimLock;

    fn lock(&self) -> io::Result<SimLock> {
        let mut world = self.world();
        if world.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        world.locked = true;
        Ok(SimLock(self.clone()))
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let world = self.world();
        let len = |inode: &u64| world.files.get(inode).map_or(0, |file| file.cached.len() as u64);
        Ok(world.names.iter().map(|(name, inode)| Entry { name: name.clone(), len: len(inode) }).collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut world = self.world();
        world.operation()?;
        if world.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if world.used() >= world.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = world.add_file();
        world.names.insert(name.to_owned(), inode);
        world.unsynced_names.push(NameChange::Created(name.to_owned(), inode));
        Ok(self.file(inode))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let inode = self.world().names.get(name).copied().ok_or_else(not_found)?;
        Ok(self.file(inode))
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        self.open(name)?.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        let inode = world.names.remove(from).ok_or_else(not_found)?;
        world.names.insert(to.to_owned(), inode);
        world.unsynced_names.push(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operation()?;
        world.names.remove(name).ok_or_else(not_found)?;
        world.unsynced_names.push(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut world = self.world();
        world.syncs += 1;
        world.operation()?;
        world.unsynced_names.clear();
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("simulated").join(name)
    }

    fn fresh_salt(&self) -> u64 {
        self.world().draw()
    }
}

impl SimFile {
    fn with<T>(&self, what: impl FnOnce(&mut World, &mut Contents) -> T) -> io::Result<T> {
        let mut world = self.disk.world();
        // An open file outlives its name; one that a crash took does not.
        let mut file = world.files.remove(&self.inode).ok_or_else(not_found)?;
        let done = what(&mut world, &mut file);
        world.files.insert(self.inode, file);
        Ok(done)
    }
}

impl WriteAt for SimFile {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|world, file| {
            let offset = usize::try_from(offset).map_err(io::Error::other)?;
            let others = world.used();
            let room = usize::try_from(world.capacity.saturating_sub(others)).unwrap_or(usize::MAX);
            let (written, done) = if let Err(error) = world.operation() {
                (if world.read_only { 0 } else { world.below(bytes.len() + 1) }, Err(error))
            } else if offset.saturating_add(bytes.len()) > room.max(file.cached.len()) {
                let written = room.max(file.cached.len()).saturating_sub(offset);
                (written, Err(io::ErrorKind::StorageFull.into()))
            } else {
                (bytes.len(), Ok(()))
            };
            let change = Change::Write(offset, bytes[..written].to_vec());
            change.apply(&mut file.cached);
            file.unsynced.push(change);
            done
        })?
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.with(|world, file| {
            world.syncs += 1;
            if let Err(error) = world.operation() {
                // The writes are forgotten; the cache may or may not show them still.
                file.unsynced.clear();
                if world.below(2) == 0 {
                    file.cached = file.durable.clone();
                }
                return Err(error);
            }
            for change in file.unsynced.drain(..) {
                change.apply(&mut file.durable);
            }
            Ok(())
        })?
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.with(|world, file| {
            world.operation()?;
            let len = usize::try_from(len).map_err(io::Error::other)?;
            let change = Change::Length(len);
            change.apply(&mut file.cached);
            file.unsynced.push(change);
            Ok(())
        })?
    }
}

impl ReadAt for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(|_, file| {
            let offset = usize::try_from(offset).map_err(io::Error::other)?;
            let bytes = file.cached.get(offset..).unwrap_or_default();
            let len = bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&bytes[..len]);
            Ok(len)
        })?
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.world().locked = false;
    }
}
