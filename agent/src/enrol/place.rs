//! The files of an enrolment: where they are, whether they are there already, and how they come to be there all at once.
//!
//! | file | what | when |
//! | --- | --- | --- |
//! | `DATA/enrolment` | hash of the token, and the secret that was made for it | before anything is sent, until all is in place |
//! | `DATA/secret` | the secret | before the site and the configuration |
//! | `DATA/site` | the site that the rounds in `DATA/queue` are of | empty while it changes; so they are never another's |
//! | the configuration | addresses, pins, the secret's path | last: its presence means enrolled |
//!
//! **Rounds belong to the site that they were measured as.** The collector knows a sender by its secret alone, so what waits in
//! the queue would become evidence of the new site. Where it is not known to be of the same one, the queue is put aside.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use wan_journal::DirDisk;

use super::words::{self, Said, plain};
use super::{Known, configured};
use crate::central;
use crate::config::{Config, Use};
use crate::files::{self, Owner, beside};
use crate::secret::{Secret, sha256};

/// The user that the packaged service runs as.
const SERVICE_USER: &str = "wanwatch-agent";

/// How a configuration that was written here begins; the site's name and id follow.
const HEAD: &str = "# Wanwatch agent: ";

/// Where the files go.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: PathBuf,
    pub(super) secret: PathBuf,
    data: PathBuf,
    /// Who the data belongs to; `None`: to whoever runs this.
    owner: Option<Owner>,
}

/// Old files that were kept, under their new names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept(pub(super) Vec<PathBuf>);

impl Place {
    /// Makes the folders, and sees that both can be written, before a token is used.
    pub(super) fn open(config: &Path, data: &Path) -> Result<Place, Said> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|error| words::cannot_write(path, &error));
        let (config, data) = (absolute(config)?, absolute(data)?);
        let service = geteuid().is_root().then(|| User::from_name(SERVICE_USER).ok().flatten()).flatten();
        let owner = service.map(|user| (user.uid, user.gid));
        let place = Place { secret: data.join("secret"), config, data, owner };
        if let Some(folder) = place.config.parent() {
            make_folder(folder, 0o755, None).map_err(|error| words::cannot_write(folder, &error))?;
        }
        make_folder(&place.data, 0o700, place.owner)
            .map_err(|error| words::cannot_write(&place.data, &error))?;
        let trial = beside(&place.config, ".new");
        files::prepare(&trial, "", 0o644, None)
            .and_then(|()| std::fs::remove_file(&trial))
            .map_err(|error| words::cannot_write(&place.config, &error))?;
        Ok(place)
    }

    /// The secret to enrol with this token: the one that was made for it before, or a new one that is on the disk now.
    pub(super) fn begin(&self, token: &str, force: bool) -> Result<Secret, Said> {
        let (pending, token) = (self.pending(), sha256(token));
        if let Some(secret) = kept_for(&pending, &token) {
            return Ok(secret);
        }
        if let (Some(what), false) = (self.enrolled(), force) {
            return Err(words::enrolled_already(what));
        }
        let made = Secret::generate().and_then(|secret| {
            let text = format!("{token}\n{}", secret.line());
            files::write_private(&pending, &text, self.owner).map(|()| secret)
        });
        made.map_err(|error| words::cannot_write(&pending, &error))
    }

    /// The token can never be used any more, or has done its work: the secret that was made for it is not needed here.
    pub(super) fn forget(&self) {
        let _ = std::fs::remove_file(self.pending());
    }

    /// Whether what was measured here so far is not known to have been measured as this site.
    pub(super) fn is_of_another(&self, site: &str) -> bool {
        let measured = self.queue().exists() || self.secret.exists();
        measured && self.former_site().as_deref() != Some(site)
    }

    /// Puts secret and configuration in place. Both are complete on the disk before either appears under its name.
    pub(super) fn finish(&self, secret: &Secret, known: &Known) -> Result<Kept, Said> {
        let text = self.text(known);
        if let Err(mistakes) = Config::parse(&self.config.display().to_string(), text.as_bytes(), Use::Run) {
            return Err(words::unusable(&mistakes.to_string()));
        }
        let (new_secret, new_config) = (beside(&self.secret, ".new"), beside(&self.config, ".new"));
        let put = |path: &Path, done: io::Result<()>| {
            done.map_err(|error| {
                let _ = std::fs::remove_file(&new_secret);
                let _ = std::fs::remove_file(&new_config);
                words::cannot_write(path, &error)
            })
        };
        put(&self.secret, files::prepare(&new_secret, &secret.line(), 0o600, self.owner))?;
        put(&self.config, files::prepare(&new_config, &text, 0o644, None))?;
        let mut kept = Kept::default();
        let (site, next) = (self.site(), crate::rotate::next_to(&self.secret));
        let another = self.is_of_another(&known.site);
        if another && is_locked(&self.queue()) {
            let _ = std::fs::remove_file(&new_secret);
            let _ = std::fs::remove_file(&new_config);
            return Err(words::still_runs(&self.data));
        }
        if self.former_site().as_deref() != Some(known.site.as_str()) {
            put(&site, files::write(&site, "", 0o644, self.owner))?;
        }
        let mut keep = |path: &Path, keep: fn(&Path) -> io::Result<Option<PathBuf>>| match keep(path) {
            Ok(old) => {
                kept.0.extend(old);
                Ok(())
            }
            Err(error) => put(path, Err(error)),
        };
        keep(&self.config, keep_aside)?;
        keep(&self.secret, keep_aside)?;
        // What was probed as another site, or for another collector, is not to be probed from now on.
        keep(&central::file_in(&self.data), move_aside)?;
        if another {
            keep(&self.queue(), move_aside)?;
        }
        // A rotation that was under way has ended: its secret is as good as revoked, and maybe another site's.
        match std::fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => put(&next, Err(error))?,
            Ok(()) | Err(_) => {}
        }
        put(&self.secret, files::rename(&new_secret, &self.secret))?;
        put(&site, files::write(&site, &format!("{}\n", known.site), 0o644, self.owner))?;
        put(&self.config, files::rename(&new_config, &self.config))?;
        self.forget();
        Ok(kept)
    }

    /// The site that this machine was enrolled for; one from before `DATA/site` was written says so in its configuration.
    fn former_site(&self) -> Option<String> {
        if let Ok(text) = std::fs::read_to_string(self.site()) {
            return Some(text.trim().to_owned());
        }
        let text = std::fs::read_to_string(&self.config).ok()?;
        let (_, site) = text.lines().next()?.strip_prefix(HEAD)?.rsplit_once('(')?;
        Some(site.strip_suffix(')')?.to_owned())
    }

    fn site(&self) -> PathBuf {
        self.data.join("site")
    }

    fn queue(&self) -> PathBuf {
        self.data.join("queue")
    }

    /// What shows that this machine is enrolled.
    fn enrolled(&self) -> Option<&Path> {
        if std::fs::metadata(&self.secret).is_ok_and(|file| file.len() > 0) {
            return Some(&self.secret);
        }
        if !self.config.exists() {
            return None;
        }
        // One that names no collector is an example that somebody has put there.
        let named = Config::load(&self.config, Use::Probe).map_or(true, |config| config.collector.is_some());
        named.then_some(&self.config)
    }

    fn pending(&self) -> PathBuf {
        self.data.join("enrolment")
    }

    /// The configuration, for the agent and for people.
    fn text(&self, known: &Known) -> String {
        let Known { site, name, urls, pins } = known;
        let mut text = format!(
            "{HEAD}{} ({site})\n\
             #\n\
             # Written by `wan-agent enroll`. What is probed comes from the collector; `wan-agent run --help` and the sample\n\
             # configuration tell about every key. After a change: `wan-agent check-config {}`, then restart the service.\n\
             collector:\n\
             \x20 # Tried in this order; the agent returns to the first by itself.\n\
             \x20 urls:\n",
            plain(name),
            plain(&self.config.display().to_string()),
        );
        for url in urls {
            text.push_str(&format!(
                "    - url: {}\n      path: {}\n",
                quoted(&configured(&url.url)),
                url.path
            ));
        }
        if !pins.is_empty() {
            text.push_str("  # The keys by which the collector is recognised, as `wan-collector certificate` shows them.\n  pins:\n");
            for pin in pins {
                text.push_str(&format!("    - {}\n", quoted(pin)));
            }
        }
        text.push_str(&format!(
            "  # This site's secret. Nobody needs to see it; the agent replaces it when the collector asks.\n  secret_file: {}\n\n\
             # What outlives the agent: what waits for the collector, what is known of the time, the secret.\ndata: {}\n",
            quoted(&self.secret.display().to_string()),
            quoted(&self.data.display().to_string())
        ));
        text
    }
}

/// The secret that was made for this token before.
fn kept_for(pending: &Path, token: &str) -> Option<Secret> {
    let text = std::fs::read_to_string(pending).ok()?;
    let (first, rest) = text.split_once('\n')?;
    (first == token).then(|| Secret::parse(rest)).flatten()
}

/// The names under which what was at `path` is kept.
fn old_names(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1..1000).map(move |number| {
        beside(path, &if number == 1 { ".old".to_owned() } else { format!(".old-{number}") })
    })
}

/// Moves what is at `path`, a file or a folder, beside it, under the first name that is free.
fn move_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let free = old_names(path).find(|old| std::fs::symlink_metadata(old).is_err());
    let old = free.ok_or(io::ErrorKind::AlreadyExists)?;
    files::rename(path, &old)?;
    Ok(Some(old))
}

/// Whether an agent that runs has this queue open.
fn is_locked(queue: &Path) -> bool {
    let lock = File::options().write(true).open(queue.join(DirDisk::LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Copies what is at `path` beside it, under the first name that is free.
fn keep_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    for old in old_names(path) {
        // A second name for the same file: it keeps its mode and owner, and the first name is never absent.
        match std::fs::hard_link(path, &old) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Ok(()) => return Ok(Some(old)),
            // A file system without hard links.
            Err(_) if !old.exists() => return std::fs::copy(path, &old).map(|_| Some(old)),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

pub(super) fn make_folder(folder: &Path, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    // Whatever the umask is: a service that runs as its own user must be able to read the configuration.
    std::fs::set_permissions(folder, Permissions::from_mode(mode))?;
    match owner {
        Some((user, group)) => std::os::unix::fs::chown(folder, Some(user.as_raw()), Some(group.as_raw())),
        None => Ok(()),
    }
}

/// A YAML scalar in double quotes, which takes JSON's escapes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
