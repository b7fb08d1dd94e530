//! The site's secret. A file is read again when it changed, so that a new secret needs no restart.
//!
//! Beside it may lie one that a rotation has left half-way ([`crate::rotate`]). Where the present one is refused, that one is
//! tried once: if the collector knows it, it belongs in the other's place.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use crate::config::Secret;
use crate::files;
use crate::rotate::next_to;
use crate::secret::Secret as Kept;

/// The secret, from the configuration or from a file.
pub(super) struct Credential {
    secret: Secret,
    read: Option<(Stamp, String)>,
    told: bool,
    /// The half-way one, while it is tried.
    trial: Option<String>,
    /// The half-way one that was refused as well.
    refused: Option<String>,
}

/// What changes when a file is replaced or written: its time, length and inode.
type Stamp = (Option<SystemTime>, u64, u64);

impl Credential {
    pub(super) fn new(secret: Secret) -> Credential {
        Credential { secret, read: None, told: false, trial: None, refused: None }
    }

    /// The secret as it stands now; `None`, said once, when the file has none.
    pub(super) fn read(&mut self) -> Option<String> {
        let path = match &self.secret {
            Secret::Inline(secret) => return Some(secret.clone()),
            Secret::File(path) => path.clone(),
        };
        if let Some(trial) = &self.trial {
            return Some(trial.clone());
        }
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

    /// Reads it again whatever its stamp; whether there is another to try than `refused`.
    pub(super) fn changed(&mut self, refused: &str) -> bool {
        self.refused = self.trial.take().filter(|trial| trial == refused).or(self.refused.take());
        self.read = None;
        if self.read().is_some_and(|secret| secret != refused) {
            return true;
        }
        let Secret::File(path) = &self.secret else { return false };
        let half_way = Kept::kept(&next_to(path)).map(|secret| secret.line().trim().to_owned());
        self.trial = half_way.filter(|secret| secret != refused && self.refused.as_ref() != Some(secret));
        self.trial.is_some()
    }

    /// The collector knows `secret`: the half-way one that was tried takes its place.
    pub(super) fn worked(&mut self, secret: &str) {
        let (Secret::File(path), Some(_)) = (&self.secret, self.trial.take_if(|trial| trial == secret))
        else {
            return;
        };
        match files::rename(&next_to(path), path) {
            Ok(()) => {
                tracing::info!(file = %path.display(), "the secret of a rotation that was cut off is in place")
            }
            // It is tried again with the next refusal.
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the new secret cannot be put in place")
            }
        }
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
    fn where_the_present_secret_is_refused_a_half_way_one_is_tried_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "wan_old\n").unwrap();
        let mut credential = Credential::new(Secret::File(path.clone()));
        assert!(!credential.changed("wan_old"));
        std::fs::write(next_to(&path), "wan_torn").unwrap();
        assert!(!credential.changed("wan_old"), "one that is torn is none");
        let next = Kept::generate().unwrap();
        let text = next.line().trim().to_owned();
        next.keep(&next_to(&path)).unwrap();

        // Refused as well, as by a portal that refuses everybody: the present one goes on, and nothing has changed.
        assert!(credential.changed("wan_old"));
        assert_eq!(credential.read().as_ref(), Some(&text));
        assert!(credential.changed(&text));
        assert_eq!(credential.read().as_deref(), Some("wan_old"));
        assert!(!credential.changed("wan_old"), "once");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "wan_old\n");

        let mut credential = Credential::new(Secret::File(path.clone()));
        assert!(credential.changed("wan_old"));
        credential.worked("wan_old");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "wan_old\n");
        credential.worked(&text);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), next.line());
        assert!(!next_to(&path).exists());
        assert_eq!(credential.read(), Some(text));
    }

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
