//! A register and the secrets of its sites, as tests need them.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

use std::path::Path;

use sha2::{Digest as _, Sha256};
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::{Link, Site};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Store as _};
use wan_wire::UnixMillis;

/// A commune of the state branch with a WAN link. What a test needs otherwise it says itself, by `..site(id, name)`.
pub(crate) fn site(id: &str, name: &str) -> Site {
    let site = Site::named(id.parse().unwrap(), name, "commune".parse().unwrap(), "state".parse().unwrap());
    Site { links: vec![Link::named("wan".parse().unwrap())], ..site }
}

/// A new store with these sites, and a secret for each of these names.
pub(crate) async fn seed(
    database: &Path,
    sites: impl IntoIterator<Item = Site>,
    secrets: &[(&str, &str)],
) -> SqliteStore {
    let store = SqliteStore::open(database).await.unwrap();
    let changes: Vec<Change> = sites.into_iter().map(Change::Added).collect();
    let revision = store.change_register(0, &changes).await.unwrap();
    let secret = |(of, text): &(&str, &str)| AgentSecret {
        site: of.parse().unwrap(),
        hash: Sha256::digest(text).into(),
        issued: UnixMillis(0),
        revoked: None,
    };
    store.issue_secrets(revision, &secrets.iter().map(secret).collect::<Vec<_>>()).await.unwrap();
    store
}
