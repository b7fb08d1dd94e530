//! The site's secret. A file is read again when it changed, so that a new secret needs no restart.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use crate::config::Secret;

/// The secret, from the configuration or from a file.
pub(super) struct Credential {
    secret: Secret,
    read: Option<(Stamp, String)>,
    told: bool,
}

/// What changes when a file is replaced or written: its time, length and inode.
type Stamp = (Option<SystemTime>, u64, u64);

impl Credential {
    pub(super) fn new(secret: Secret) -> Credential {
        Credential { secret, read: None, told: false }
    }

    /// The secret as it stands now; `None`, said once, when the file has none.
    pub(super) fn read(&mut self) -> Option<String> {
        let path = match &self.secret {
            Secret::Inline(secret) => return Some(secret.clone()),
            Secret::File(path) => path.clone(),
        };
        let stamp = stamp(&path);
        if let (Some(stamp), Some((known, secret))) = (stamp, &self.read)
            && stamp == *known
        {
            return Some(secret.clone());
        }
        let found = stamp.and_then(|stamp| Some((stamp, secret_in(&std::fs::read_to_string(&path).ok()?)?)));
        if found.is_none() && !self.told {
            tracing::error!(
                file = %path.display(),
                "no secret in this file, or it cannot be read; put the site's secret there, pushes wait for it"
            );
        }
        self.told = found.is_none();
        self.read = found;
        self.read.as_ref().map(|(_, secret)| secret.clone())
    }

    /// Reads it again whatever its stamp; whether it is another than `refused`.
    pub(super) fn changed(&mut self, refused: &str) -> bool {
        self.read = None;
        self.read().is_some_and(|secret| secret != refused)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len(), metadata.ino()))
}

/// The secret in a file's text: its one line.
fn secret_in(text: &str) -> Option<String> {
    let text = text.trim();
    let good = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_seen_and_a_missing_one_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let mut credential = Credential::new(Secret::File(path.clone()));
        assert_eq!(credential.read(), None);
        std::fs::write(&path, "wan_first\n").unwrap();
        assert_eq!(credential.read().as_deref(), Some("wan_first"));
        assert!(!credential.changed("wan_first"));
        std::fs::write(folder.path().join("new"), "wan_second\n").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(credential.read().as_deref(), Some("wan_second"));
        assert!(credential.changed("wan_first"));
        std::fs::write(&path, "two words\n").unwrap();
        assert_eq!(credential.read(), None);
    }
}
