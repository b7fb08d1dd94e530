//! A data folder as the store writes it, for tests of what reads it.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

use wan_collector::config::Config;
use wan_collector::inventory::diff::Change;
use wan_collector::ledger::span::Span;
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Alive, Checkpoint, EvidenceUpdate, Series, Store};
use wan_wire::{Outcome, UnixMillis};

use crate::register;

/// An hour in milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;
/// 2026-11-01 00:00 in Vietnam; long before the test runs, so that nothing depends on its present.
pub(crate) const START: i64 = 1_793_466_000_000 - 365 * 24 * HOUR;

/// A data folder with a configuration.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// Two sites; the first was down on its WAN for an hour of the day, the second has no agent.
    pub(crate) fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text =
            "data: data\nplan: {tiers: [{id: commune, name: Xã, target: 0.5}, {id: province, name: Tỉnh}]}\n";
        std::fs::write(folder.path().join("collector.yaml"), text).unwrap();
        let this = Self { folder };
        tokio::runtime::Runtime::new().unwrap().block_on(this.fill());
        this
    }

    async fn fill(&self) {
        let store = SqliteStore::open(&self.config().database()).await.unwrap();
        let sites = [
            register::site("xa-a", "Ủy ban nhân dân xã \"A\", Trảng Bàng"),
            register::site("xa-b", "=Đảng ủy xã B"),
        ];
        let changes: Vec<Change> = sites.into_iter().map(Change::Added).collect();
        let revision = store.change_register(0, &changes).await.unwrap();
        let secret = AgentSecret {
            site: "xa-a".parse().unwrap(),
            hash: [7; 32],
            issued: UnixMillis(START),
            revoked: None,
        };
        store.issue_secrets(revision, &[secret]).await.unwrap();
        let kinds = ["lan", "wan", "internet"];
        let series = kinds.map(|link| Series {
            site: "xa-a".parse().unwrap(),
            link: link.parse().unwrap(),
            vantage: "xa-a".parse().unwrap(),
        });
        let ids = store.series_ids(&series).await.unwrap();
        let span = |from: i64, to: i64, outcome| Span {
            start: UnixMillis(START + from * HOUR),
            end: UnixMillis(START + to * HOUR),
            outcome,
        };
        let updates: Vec<EvidenceUpdate> = ids
            .into_iter()
            .zip(kinds)
            .map(|(series, link)| EvidenceUpdate {
                series,
                dirty_from: UnixMillis(START),
                spans: if link == "wan" {
                    vec![span(0, 4, Outcome::Up), span(4, 5, Outcome::Down), span(5, 20, Outcome::Up)]
                } else {
                    vec![span(0, 20, Outcome::Up)]
                },
            })
            .collect();
        let alive = Some(Alive { start: UnixMillis(START), end: UnixMillis(START + 24 * HOUR) });
        let checkpoint =
            Checkpoint { updates: &updates, alive, journal_position: Some(1), ..Checkpoint::default() };
        store.checkpoint(checkpoint).await.unwrap();
    }

    pub(crate) fn path(&self) -> String {
        self.folder.path().join("collector.yaml").display().to_string()
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(self.path().as_ref()).unwrap()
    }
}
