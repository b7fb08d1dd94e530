//! The few things a journal asks of a file system, as a trait, and the real one.
//!
//! A [`Disk`] is one directory. The tests put a simulated one in its place that loses, tears and reorders
//! whatever was not synced.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file as a directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name within the directory; a name that is not UTF-8 is shown with replacement characters (and is
    /// foreign anyway).
    pub name: String,
    /// Length in bytes.
    pub len: u64,
}

/// One directory of files.
///
/// Nothing is durable before its sync returned: contents by [`WriteAt::sync_data`], names (created, renamed,
/// removed) by [`Disk::sync_dir`].
pub trait Disk: Clone {
    /// A file being written.
    type File: WriteAt;
    /// A file being read.
    type Source: ReadAt;
    /// Held while the directory is this process's own; released when dropped.
    type Lock;

    /// Takes the directory for the one writer; also one that can only be read, where there is a lock already.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another writer has it; else what the file system said.
    fn lock(&self) -> io::Result<Self::Lock>;

    /// The files of the directory, in any order; directories are left out.
    ///
    /// # Errors
    /// What the file system said.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Creates a file that must not exist yet.
    ///
    /// # Errors
    /// What the file system said.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the file system said.
    fn open(&self, name: &str) -> io::Result<Self::Source>;

    /// Makes the contents of an existing file durable, whoever wrote them.
    ///
    /// # Errors
    /// What the file system said.
    fn sync_file(&self, name: &str) -> io::Result<()>;

    /// Renames a file, in place of any that has the new name.
    ///
    /// # Errors
    /// What the file system said.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the file system said.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes what was created, renamed and removed so far durable.
    ///
    /// # Errors
    /// What the file system said.
    fn sync_dir(&self) -> io::Result<()>;

    /// The path of a file, for messages; of the directory itself when `name` is empty.
    fn path(&self, name: &str) -> PathBuf;

    /// 64 unpredictable bits for a new segment.
    ///
    /// The standard library seeds [`RandomState`] from the operating system and its SipHash output does not
    /// show the keys; that is all a salt needs (it must not be guessed by who sends payloads), so no random
    /// number crate is pulled in for it.
    fn fresh_salt(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// Writing at an offset.
pub trait WriteAt {
    /// Writes all of `bytes` at `offset`, or fails having written any part of them.
    ///
    /// # Errors
    /// What the file system said.
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the contents durable (fdatasync).
    ///
    /// # Errors
    /// What the file system said; afterwards nothing is known of what was written since the last success.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the file system said.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// Reading at an offset.
pub trait ReadAt {
    /// Reads up to `buf.len()` bytes at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// What the file system said.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

/// The real file system: one directory.
#[derive(Debug, Clone)]
pub struct DirDisk {
    dir: Arc<Path>,
}

impl DirDisk {
    /// The name of the file whose lock says who writes.
    pub const LOCK: &'static str = "lock";

    /// An existing directory, for reading.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    /// A directory that is made, with its parents, when it is missing.
    ///
    /// # Errors
    /// What the file system said.
    pub fn create(dir: &Path) -> io::Result<Self> {
        // With an absolute path every ancestor has a name to be opened by.
        let absolute = std::path::absolute(dir)?;
        let missing = absolute.ancestors().take_while(|ancestor| !ancestor.exists()).count();
        fs::create_dir_all(&absolute)?;
        // A directory that was made must have a durable name, else a power cut takes all that is in it.
        for parent in absolute.ancestors().skip(1).take(missing) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self::at(dir))
    }
}

impl Disk for DirDisk {
    type File = File;
    type Source = File;
    type Lock = File;

    fn lock(&self) -> io::Result<File> {
        let path = self.path(Self::LOCK);
        let file = match OpenOptions::new().create(true).truncate(false).write(true).open(&path) {
            // What is in a directory that can only be read is there to be read.
            Err(error) if is_read_only(&error) => File::open(&path).map_err(|_| error)?,
            opened => opened?,
        };
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(file)
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // A file may be removed by the writer between being listed and being looked at.
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if !meta.is_dir() {
                entries
                    .push(Entry { name: entry.file_name().to_string_lossy().into_owned(), len: meta.len() });
            }
        }
        Ok(entries)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(self.path(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.path(name))
    }

    fn sync_file(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.dir.to_path_buf() } else { self.dir.join(name) }
    }
}

/// Whether something cannot be written to, but may be read.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// That a write was refused because nothing can be written there is no failure.
pub(crate) fn unless_read_only(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if is_read_only(&error) => Ok(()),
        done => done,
    }
}

/// Renames a small file that cannot be read to the first `NAME.bad-N` that is free, so that no new one is written over it: it
/// may be a newer version's. Where nothing can be written it stays.
///
/// # Errors
/// What the file system said.
pub fn keep_unreadable<D: Disk>(disk: &D, name: &str) -> io::Result<()> {
    let entries = disk.list()?;
    let is_free = |name: &String| entries.iter().all(|entry| entry.name != *name);
    let Some(kept) = (1u32..).map(|number| format!("{name}.bad-{number}")).find(is_free) else {
        return Ok(());
    };
    unless_read_only(disk.rename(name, &kept).and_then(|()| disk.sync_dir()))
}

impl WriteAt for File {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}
