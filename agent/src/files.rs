//! Files that are whole or not there, whenever the power goes: written under another name, synced, then renamed.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};

/// Who a file is to belong to.
pub(crate) type Owner = (Uid, Gid);

/// Writes `text` to a file that only `owner` (the one who writes, unless given) can read. What is there before is replaced.
pub(crate) fn write_private(path: &Path, text: &str, owner: Option<Owner>) -> io::Result<()> {
    write(path, text, 0o600, owner)
}

/// The same with another mode.
pub(crate) fn write(path: &Path, text: &str, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    let new = beside(path, ".writing");
    let written = prepare(&new, text, mode, owner).and_then(|()| rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Writes a file and syncs it, without any claim to be atomic: for a name that nobody reads yet.
pub(crate) fn prepare(path: &Path, text: &str, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    // One that was left behind may belong to somebody else, or have another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask is.
    file.set_permissions(Permissions::from_mode(mode))?;
    if let Some((user, group)) = owner {
        std::os::unix::fs::fchown(&file, Some(user.as_raw()), Some(group.as_raw()))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Renames, and has the folder remember it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

/// The path with `suffix` behind its last name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_has_its_mode_whatever_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "old").unwrap();
        std::fs::write(beside(&path, ".writing"), "left behind").unwrap();
        write_private(&path, "new\n", None).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_private(&folder.path().join("no/secret"), "x", None).is_err());
    }
}
