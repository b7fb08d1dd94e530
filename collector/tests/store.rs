//! The embedded store as the rest of the collector sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_wrap, reason = "a test")]

use std::time::Instant;

use proptest::prelude::*;
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::era::Former;
use wan_collector::inventory::{Link, Location, Site, Watches};
use wan_collector::ledger::span::Span;
use wan_collector::planned::{MOST_WINDOWS, PlannedId, PlannedWindow, Removal, Scope, Work};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{
    AddedWindow, AgentSecret, Alive, Applicant, Checkpoint, EnrolToken, EvidenceUpdate, Exchanged, Offered,
    Rotation, Series, SeriesId, Store, StoreError, TokenUse,
};
use wan_wire::{Outcome, UnixMillis};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn site(id: &str, parent: Option<&str>) -> Site {
    Site {
        id: id.parse().unwrap(),
        name: format!("Ủy ban nhân dân {id}"),
        tier: "commune".parse().unwrap(),
        branch: "state".parse().unwrap(),
        parent: parent.map(|id| id.parse().unwrap()),
        district: Some("Châu Thành".to_owned()),
        valid_from: Some("2020-01-01".parse().unwrap()),
        valid_to: parent.map(|_| "2025-07-01".parse().unwrap()),
        former: vec![Former {
            until: "2022-01-01".parse().unwrap(),
            name: format!("Ủy ban nhân dân {id} cũ"),
            tier: "district".parse().unwrap(),
            branch: "party".parse().unwrap(),
            parent: None,
            district: parent.map(|_| "Gò Dầu".to_owned()),
        }],
        merged_into: parent.map(|id| id.parse().unwrap()),
        location: Some(Location { latitude: 11.31, longitude: 106.1 }),
        contacts: vec!["Nguyễn Văn A, 0276 3822 123".to_owned()],
        watches: Watches::Only([parent.unwrap_or("x").parse().unwrap()].into()),
        links: vec![
            Link {
                name: "wan-vnpt".parse().unwrap(),
                carrier: Some("VNPT".to_owned()),
                contract: Some("VNPT-2020/17".to_owned()),
                uptime: Some(0.995),
                interface: Some("eth0".parse().unwrap()),
                router: Some("10.72.3.1".parse().unwrap()),
                valid_from: Some("2021-01-01".parse().unwrap()),
                valid_to: Some("2024-01-01".parse().unwrap()),
            },
            Link::named("lan".parse().unwrap()),
        ],
        note: Some("mẫu".to_owned()),
    }
}

fn series(site: usize, link: &str) -> Series {
    let site: wan_wire::SiteId = format!("site-{site}").parse().unwrap();
    Series { site: site.clone(), link: link.parse().unwrap(), vantage: site }
}

fn span(start: i64, end: i64, outcome: Outcome) -> Span {
    Span { start: UnixMillis(start), end: UnixMillis(end), outcome }
}

async fn evidence(store: &SqliteStore) -> Vec<(SeriesId, Vec<Span>)> {
    let mut found = Vec::new();
    store.load_evidence(|id, _, spans| found.push((id, spans))).await.unwrap();
    found
}

#[test]
fn a_register_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("data/wanwatch.db")).await.unwrap();
        let sites = [site("a", None), site("b", Some("a"))];
        let changes: Vec<Change> = sites.iter().cloned().map(Change::Added).collect();
        assert_eq!(store.change_register(0, &changes).await.unwrap(), 1);
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.revision, 1);
        assert_eq!(snapshot.register.sites().cloned().collect::<Vec<_>>(), sites);

        let after = Site { links: Vec::new(), watches: Watches::All, ..sites[1].clone() };
        let change = Change::Changed { before: sites[1].clone(), after: after.clone() };
        assert_eq!(store.change_register(1, &[change]).await.unwrap(), 2);
        assert_eq!(store.snapshot().await.unwrap().register.get(&after.id), Some(&after));

        assert_eq!(store.change_register(2, &[Change::Dropped(after)]).await.unwrap(), 3);
        assert_eq!(store.snapshot().await.unwrap().register.len(), 1);
    });
}

#[test]
fn changes_computed_from_an_old_register_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        store.change_register(0, &[Change::Added(site("a", None))]).await.unwrap();
        let refused = store.change_register(0, &[Change::Added(site("b", None))]).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!((snapshot.revision, snapshot.register.len()), (1, 1));
    });
}

#[test]
fn a_new_secret_revokes_the_old_one_and_both_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let secret = |hash: u8, issued: i64| AgentSecret {
            site: "a".parse().unwrap(),
            hash: [hash; 32],
            issued: UnixMillis(issued),
            revoked: None,
        };
        store.issue_secrets(0, &[secret(1, 1000)]).await.unwrap();
        store.issue_secrets(1, &[secret(2, 2000)]).await.unwrap();
        let secrets = store.snapshot().await.unwrap().secrets;
        assert_eq!(secrets[0], AgentSecret { revoked: Some(UnixMillis(2000)), ..secret(1, 1000) });
        assert_eq!(secrets[1], secret(2, 2000));

        let site = "a".parse().unwrap();
        assert_eq!(store.revoke_secrets(&site, UnixMillis(3000)).await.unwrap(), 1);
        assert_eq!(store.revoke_secrets(&site, UnixMillis(4000)).await.unwrap(), 0);
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.revision, 3, "revoking nothing is no change");
        assert_eq!(snapshot.secrets[1].revoked, Some(UnixMillis(3000)));
    });
}

#[test]
fn a_series_keeps_its_number() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let path = folder.path().join("wanwatch.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let many: Vec<Series> = (0..1200).map(|n| series(n, "wan-vnpt")).collect();
        let first = store.series_ids(&many).await.unwrap();
        let again: Vec<Series> = many.iter().rev().cloned().collect();
        store.close().await;
        let store = SqliteStore::open(&path).await.unwrap();
        let mut second = store.series_ids(&again).await.unwrap();
        second.reverse();
        assert_eq!(first, second);
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 1200);
        assert_eq!(store.series_ids(&[]).await.unwrap(), []);
        assert_eq!(evidence(&store).await.len(), 1200, "series without evidence are handed over too");
    });
}

#[test]
fn a_checkpoint_replaces_evidence_from_its_dirty_instant_on() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let ids = store.series_ids(&[series(1, "wan"), series(2, "wan")]).await.unwrap();
        let write = async |series, dirty_from: i64, spans: &[Span], position: u64| {
            let update = EvidenceUpdate { series, dirty_from: UnixMillis(dirty_from), spans: spans.to_vec() };
            let alive = Some(Alive { start: UnixMillis(5), end: UnixMillis(position as i64) });
            store
                .checkpoint(Checkpoint {
                    updates: &[update],
                    alive,
                    journal_position: Some(position),
                    ..Checkpoint::default()
                })
                .await
                .unwrap();
        };
        assert_eq!(store.journal_position().await.unwrap(), None);
        let (up, down) = (Outcome::Up, Outcome::Down);
        write(ids[0], 0, &[span(0, 10, up), span(10, 20, down), span(20, 30, up)], 7).await;
        write(ids[1], 0, &[span(0, 10, Outcome::Fault)], 8).await;
        write(ids[0], 10, &[span(10, 40, Outcome::Degraded)], 9).await;
        assert_eq!(
            evidence(&store).await,
            [
                (ids[0], vec![span(0, 10, up), span(10, 40, Outcome::Degraded)]),
                (ids[1], vec![span(0, 10, Outcome::Fault)]),
            ]
        );
        write(ids[0], 5, &[], 10).await;
        assert_eq!(evidence(&store).await[0], (ids[0], vec![span(0, 10, up)]));
        assert_eq!(store.journal_position().await.unwrap(), Some(10));
        assert_eq!(store.alive().await.unwrap(), [Alive { start: UnixMillis(5), end: UnixMillis(10) }]);
    });
}

#[test]
fn the_recent_and_the_older_spans_of_every_series_are_handed_over_with_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let names = [series(1, "wan"), series(2, "wan"), series(3, "wan"), series(4, "wan")];
        let ids = store.series_ids(&names).await.unwrap();
        let (up, down) = (Outcome::Up, Outcome::Down);
        let long =
            [span(0, 10, up), span(10, 20, down), span(20, 30, up), span(30, 40, down), span(50, 60, up)];
        let update = |of: usize, spans: &[Span]| EvidenceUpdate {
            series: ids[of],
            dirty_from: UnixMillis::MIN,
            spans: spans.to_vec(),
        };
        // The second ended long ago, the third began lately, the last has nothing.
        let updates = [update(0, &long), update(1, &long[..2]), update(2, &long[4..])];
        store.checkpoint(Checkpoint { updates: &updates, ..Checkpoint::default() }).await.unwrap();
        let recent = async |since: i64| {
            let mut found = Vec::new();
            store
                .load_recent(UnixMillis(since), |recent| {
                    found.push((recent.id, recent.series, recent.first.map(|first| first.0), recent.spans));
                })
                .await
                .unwrap();
            found
        };
        let of = |of: usize, first: Option<i64>, spans: &[Span]| {
            (ids[of], names[of].clone(), first, spans.to_vec())
        };
        let expected = |first: &[Span], second: &[Span]| {
            vec![of(0, Some(0), first), of(1, Some(0), second), of(2, Some(50), &long[4..]), of(3, None, &[])]
        };
        assert_eq!(recent(35).await, expected(&long[3..], &long[1..2]));
        assert_eq!(
            recent(30).await,
            expected(&long[2..], &long[1..2]),
            "from 30 on, and the one before that"
        );
        assert_eq!(recent(i64::MAX).await, expected(&long[4..], &long[1..2]));
        assert_eq!(recent(i64::MIN).await, expected(&long, &long[..2]));

        let older = async |before: [i64; 4], since: i64| {
            let wanted: Vec<_> = ids.iter().copied().zip(before.map(UnixMillis)).collect();
            let mut found = Vec::new();
            store.load_older(&wanted, UnixMillis(since), |id, spans| found.push((id, spans))).await.unwrap();
            found
        };
        assert_eq!(
            older([30, 10, 50, 0], 15).await,
            [(ids[0], long[1..3].to_vec()), (ids[1], long[..1].to_vec())]
        );
        assert_eq!(
            older([30, 10, 50, 0], i64::MIN).await,
            [(ids[0], long[..3].to_vec()), (ids[1], long[..1].to_vec())]
        );
        assert_eq!(older([0, 0, 50, 0], i64::MIN).await, []);
        store.load_older(&[], UnixMillis(0), |_, _| panic!("nothing was asked for")).await.unwrap();
    });
}

#[test]
fn a_reader_sees_the_store_while_a_writer_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let path = folder.path().join("wanwatch.db");
        let missing = SqliteStore::open_read_only(&path).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
        let writer = SqliteStore::open(&path).await.unwrap();
        writer.change_register(0, &[Change::Added(site("a", None))]).await.unwrap();
        let reader = SqliteStore::open_read_only(&path).await.unwrap();
        assert_eq!(reader.snapshot().await.unwrap().register.len(), 1);
        writer.change_register(1, &[Change::Added(site("b", None))]).await.unwrap();
        assert_eq!(reader.revision().await.unwrap(), 2);
        assert!(reader.change_register(2, &[Change::Added(site("c", None))]).await.is_err());
    });
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let path = folder.path().join("wanwatch.db");
        std::fs::write(&path, "this is no database, whatever its name may say".repeat(100)).unwrap();
        for opened in [SqliteStore::open(&path).await, SqliteStore::open_read_only(&path).await] {
            let Err(error) = opened else { panic!("opened") };
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
            assert!(error.to_string().contains("wanwatch.db"), "{error}");
        }
    });
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let path = folder.path().join("wanwatch.db");
        SqliteStore::open(&path).await.unwrap().close().await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', 1, x'00', 0)")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        let before = std::fs::read(&path).unwrap();
        for opened in [SqliteStore::open(&path).await, SqliteStore::open_read_only(&path).await] {
            let Err(error) = opened else { panic!("opened") };
            assert!(error.to_string().contains("schema 9999"), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    });
}

/// Figures on paper: `cargo test --release -p wan-collector --test store -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: run it in the release profile"]
fn measure_checkpoint_and_load() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let links = ["lan", "wan", "internet", "service-mail", "wan-viettel"];
        let all: Vec<Series> = (0..10_000).flat_map(|n| links.map(|link| series(n, link))).collect();
        let clock = clock();
        let ids = store.series_ids(&all).await.unwrap();
        println!("number {} series: {:?}", ids.len(), clock.elapsed());
        for round in 0..10_i64 {
            for (label, step) in [("a new span each", 0), ("the last span longer", 5)] {
                let start = round * 100;
                let updates: Vec<EvidenceUpdate> = ids
                    .iter()
                    .map(|&series| EvidenceUpdate {
                        series,
                        dirty_from: UnixMillis(start),
                        spans: vec![span(start, start + 50 + step, Outcome::Up)],
                    })
                    .collect();
                let clock = self::clock();
                let checkpoint =
                    Checkpoint { updates: &updates, journal_position: Some(1), ..Checkpoint::default() };
                store.checkpoint(checkpoint).await.unwrap();
                println!("checkpoint {} updates, {label}: {:?}", updates.len(), clock.elapsed());
            }
        }
        let clock = self::clock();
        let mut spans = 0;
        store.load_evidence(|_, _, found| spans += found.len()).await.unwrap();
        println!("load {spans} spans: {:?}", clock.elapsed());
    });
}

#[allow(clippy::disallowed_methods)]
fn clock() -> Instant {
    Instant::now()
}

/// One series' history as a map from start to (end, outcome): what SQL should do, in four lines.
fn apply(model: &mut std::collections::BTreeMap<i64, Span>, update: &EvidenceUpdate) {
    model.retain(|start, _| *start < update.dirty_from.0);
    model.extend(update.spans.iter().map(|span| (span.start.0, *span)));
}

/// A series, its dirty instant, and the spans after it, each as gap, length and outcome.
type Step = (usize, i64, Vec<(i64, i64, usize)>);

fn updates() -> impl Strategy<Value = Vec<Step>> {
    let spans = prop::collection::vec((0i64..20, 1i64..20, 0usize..4), 0..5);
    prop::collection::vec((0usize..3, 0i64..200, spans), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn checkpoints_leave_what_a_model_leaves(steps in updates()) {
        let folder = tempfile::tempdir().unwrap();
        let outcomes = [Outcome::Fault, Outcome::Down, Outcome::Degraded, Outcome::Up];
        runtime().block_on(async {
            let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
            let names: Vec<Series> = (0..3).map(|n| series(n, "lan")).collect();
            let ids = store.series_ids(&names).await.unwrap();
            let mut model = vec![std::collections::BTreeMap::new(); 3];
            for (position, (which, dirty_from, lengths)) in steps.iter().enumerate() {
                let mut at = *dirty_from;
                let mut spans = Vec::new();
                for (gap, length, outcome) in lengths {
                    spans.push(span(at + gap, at + gap + length, outcomes[*outcome]));
                    at += gap + length;
                }
                let update = EvidenceUpdate { series: ids[*which], dirty_from: UnixMillis(*dirty_from), spans };
                apply(&mut model[*which], &update);
                let journal_position = Some(position as u64);
                let checkpoint = Checkpoint { updates: &[update], journal_position, ..Checkpoint::default() };
                store.checkpoint(checkpoint).await.unwrap();
            }
            let expected: Vec<_> =
                ids.iter().zip(&model).map(|(id, spans)| (*id, spans.values().copied().collect::<Vec<_>>())).collect();
            let mut found = evidence(&store).await;
            found.sort_by_key(|(id, _)| *id);
            assert_eq!(found, expected);
        });
    }
}

fn hash(text: &str) -> [u8; 32] {
    wan_collector::secret::hash(text)
}

fn token(text: &str, site: &str, issued: i64, expires: i64) -> EnrolToken {
    EnrolToken {
        site: site.parse().unwrap(),
        hash: hash(text),
        issued: UnixMillis(issued),
        expires: UnixMillis(expires),
        used: None,
        revoked: None,
    }
}

fn applicant(token: &str, secret: &str) -> Applicant {
    Applicant { token: hash(token), secret: hash(secret), address: "10.72.3.2".to_owned() }
}

/// The hashes that are accepted, in the order of their issue.
async fn accepted(store: &SqliteStore) -> Vec<[u8; 32]> {
    let secrets = store.snapshot().await.unwrap().secrets;
    secrets.into_iter().filter(|secret| secret.revoked.is_none()).map(|secret| secret.hash).collect()
}

#[test]
fn a_token_is_exchanged_once_and_the_same_applicant_may_ask_again() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        store
            .issue_secrets(
                0,
                &[AgentSecret {
                    site: "a".parse().unwrap(),
                    hash: hash("old"),
                    issued: UnixMillis(500),
                    revoked: None,
                }],
            )
            .await
            .unwrap();
        store.issue_tokens(&[token("t", "a", 1000, 5000)]).await.unwrap();
        assert_eq!(store.token(&hash("t")).await.unwrap(), Some(token("t", "a", 1000, 5000)));
        assert_eq!(store.revision().await.unwrap(), 1, "a token is nothing that a server takes over");

        let at = UnixMillis(2000);
        let unknown = store.exchange(&applicant("other", "s"), at).await.unwrap();
        assert_eq!(unknown, Exchanged::Unknown);
        let known = store.exchange(&applicant("t", "old"), at).await.unwrap();
        assert_eq!(known, Exchanged::SecretKnown);
        let site: wan_wire::SiteId = "a".parse().unwrap();
        let done = store.exchange(&applicant("t", "s"), at).await.unwrap();
        assert_eq!(done, Exchanged::Accepted { site: site.clone(), replaced: true });
        assert_eq!(accepted(&store).await, [hash("s")]);
        assert_eq!(store.revision().await.unwrap(), 2);

        // The answer was lost: long after the token's end the same one still gets it.
        let again = store.exchange(&applicant("t", "s"), UnixMillis(9000)).await.unwrap();
        assert_eq!(again, Exchanged::Again { site: site.clone() });
        assert_eq!(store.revision().await.unwrap(), 2);
        let used = TokenUse { at, by: "10.72.3.2".to_owned(), secret: hash("s") };
        let used = EnrolToken { used: Some(used), ..token("t", "a", 1000, 5000) };
        let other = store.exchange(&applicant("t", "thief"), UnixMillis(2001)).await.unwrap();
        assert_eq!(other, Exchanged::Refused(used.clone()));
        // And not once its secret was revoked.
        store.revoke_secrets(&site, UnixMillis(3000)).await.unwrap();
        assert_eq!(store.exchange(&applicant("t", "s"), at).await.unwrap(), Exchanged::Refused(used));
        assert!(accepted(&store).await.is_empty());
    });
}

#[test]
fn a_token_ends_by_time_by_revocation_and_by_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        store.issue_tokens(&[token("t", "a", 1000, 5000), token("u", "b", 1000, 5000)]).await.unwrap();
        store.issue_tokens(&[token("v", "a", 2000, 6000)]).await.unwrap();
        let refused = |text: &'static str, at: i64| {
            let store = &store;
            async move {
                match store.exchange(&applicant(text, "s"), UnixMillis(at)).await.unwrap() {
                    Exchanged::Refused(token) => (token.revoked, token.expires),
                    other @ (Exchanged::Accepted { .. }
                    | Exchanged::Again { .. }
                    | Exchanged::Unknown
                    | Exchanged::SecretKnown) => panic!("{other:?}"),
                }
            }
        };
        assert_eq!(refused("t", 3000).await, (Some(UnixMillis(2000)), UnixMillis(5000)));
        assert_eq!(refused("v", 6000).await, (None, UnixMillis(6000)));
        let b = "b".parse().unwrap();
        assert_eq!(store.revoke_tokens(&b, UnixMillis(1500)).await.unwrap(), 1);
        assert_eq!(store.revoke_tokens(&b, UnixMillis(1600)).await.unwrap(), 0);
        assert_eq!(refused("u", 2000).await, (Some(UnixMillis(1500)), UnixMillis(5000)));
        assert!(accepted(&store).await.is_empty());
        let tokens = store.tokens().await.unwrap();
        assert_eq!(tokens.iter().map(|token| token.hash).collect::<Vec<_>>(), ["t", "v", "u"].map(hash));
    });
}

#[test]
fn of_twenty_who_use_a_token_at_once_one_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let path = folder.path().join("wanwatch.db");
        // Two programs with the same database, as a server and a command would be.
        let stores = [SqliteStore::open(&path).await.unwrap(), SqliteStore::open(&path).await.unwrap()];
        stores[0].issue_tokens(&[token("t", "a", 1000, 5000)]).await.unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let store = stores[n % 2].clone();
                tokio::spawn(async move {
                    store.exchange(&applicant("t", &format!("s{n}")), UnixMillis(2000)).await.unwrap()
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Exchanged::Accepted { replaced, .. } => {
                    assert!(!replaced);
                    won += 1;
                }
                Exchanged::Refused(token) => assert!(token.used.is_some()),
                other @ (Exchanged::Again { .. } | Exchanged::Unknown | Exchanged::SecretKnown) => {
                    panic!("{other:?}")
                }
            }
        }
        assert_eq!(won, 1);
        assert_eq!(accepted(&stores[0]).await.len(), 1);
    });
}

#[test]
fn a_secret_is_replaced_without_a_moment_in_which_none_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let site: wan_wire::SiteId = "a".parse().unwrap();
        let at = UnixMillis(2000);
        let old = AgentSecret { site: site.clone(), hash: hash("old"), issued: UnixMillis(1), revoked: None };
        store.issue_secrets(0, &[old]).await.unwrap();
        assert_eq!(store.offer_secret(&site, &hash("new"), at).await.unwrap(), Offered::NotAsked);

        store.ask_rotation(std::slice::from_ref(&site), at).await.unwrap();
        assert_eq!(store.snapshot().await.unwrap().rotation.asked, [(site.clone(), at)].into());
        assert_eq!(store.offer_secret(&site, &hash("old"), at).await.unwrap(), Offered::SecretKnown);
        // The agent crashed with its first offer, and its second was sent twice.
        assert_eq!(store.offer_secret(&site, &hash("lost"), at).await.unwrap(), Offered::Accepted);
        assert_eq!(
            store.offer_secret(&site, &hash("new"), UnixMillis(2001)).await.unwrap(),
            Offered::Accepted
        );
        assert_eq!(
            store.offer_secret(&site, &hash("new"), UnixMillis(2002)).await.unwrap(),
            Offered::Accepted
        );
        assert_eq!(accepted(&store).await, [hash("old"), hash("new")]);
        assert_eq!(store.snapshot().await.unwrap().rotation.offered, [hash("new")].into());

        assert!(!store.confirm_secret(&hash("old"), at).await.unwrap(), "not the one that was offered");
        assert!(!store.confirm_secret(&hash("lost"), at).await.unwrap());
        assert!(store.confirm_secret(&hash("new"), UnixMillis(2003)).await.unwrap());
        assert!(!store.confirm_secret(&hash("new"), UnixMillis(2004)).await.unwrap());
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.rotation, Rotation::default());
        assert_eq!(accepted(&store).await, [hash("new")]);
        assert_eq!(store.offer_secret(&site, &hash("new"), at).await.unwrap(), Offered::SecretKnown);

        // A revocation ends a rotation, and takes what was offered with it.
        store.ask_rotation(std::slice::from_ref(&site), at).await.unwrap();
        store.offer_secret(&site, &hash("newer"), at).await.unwrap();
        assert_eq!(store.revoke_secrets(&site, at).await.unwrap(), 2);
        assert!(!store.confirm_secret(&hash("newer"), at).await.unwrap());
        assert_eq!(store.snapshot().await.unwrap().rotation, Rotation::default());
    });
}

// ---------------------------------------------------------------------------------------------- planned windows

fn work(scope: Scope, when: &str) -> Work {
    Work {
        scope,
        when: when.parse().unwrap(),
        valid_from: Some("2026-11-01".parse().unwrap()),
        valid_to: None,
        reason: "thay cáp 'quang'; --".to_owned(),
        added: UnixMillis(5),
        by: "Nguyễn Văn A".to_owned(),
    }
}

#[test]
fn planned_windows_come_back_as_they_were_written_and_each_change_raises_the_revision() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        let works = [
            work(Scope::All, "weekly day 22:00-02:00"),
            work(Scope::Site("gone".parse().unwrap()), "monthly last-sun 22:00-23:00"),
            work(Scope::Subtree("hub".parse().unwrap()), "calendar holidays"),
            work(Scope::Tier("commune".parse().unwrap()), "weekly mon,sat 7:00-08:00"),
            work(Scope::District("Tân Châu".to_owned()), "monthly 31 00:00-24:00"),
            work(Scope::Carrier("VNPT".to_owned()), "calendar outside-service-hours"),
            Work { valid_from: None, ..work(Scope::All, "once 100..200") },
        ];
        let before = store.revision().await.unwrap();
        for (id, work) in (1..).zip(&works) {
            assert_eq!(store.add_planned(work).await.unwrap(), AddedWindow::Added(PlannedId(id)));
        }
        assert_eq!(store.revision().await.unwrap(), before + 7);
        let removal = Removal { at: UnixMillis(9), by: "B".to_owned(), void: false };
        assert!(store.remove_planned(PlannedId(3), &removal).await.unwrap());
        assert!(!store.remove_planned(PlannedId(3), &removal).await.unwrap(), "ended already");
        assert!(!store.remove_planned(PlannedId(99), &removal).await.unwrap(), "there is none");
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.revision, before + 8, "what changes nothing raises nothing");
        let window = |(id, work): (i64, &Work)| PlannedWindow {
            id: PlannedId(id),
            work: work.clone(),
            removed: (id == 3).then(|| removal.clone()),
        };
        assert_eq!(snapshot.planned.windows(), (1..).zip(&works).map(window).collect::<Vec<_>>());
        let void = Removal { at: UnixMillis(10), by: "C".to_owned(), void: true };
        assert!(store.remove_planned(PlannedId(3), &void).await.unwrap(), "an ended one can be taken back");
        assert!(!store.remove_planned(PlannedId(3), &void).await.unwrap());
        let planned = store.snapshot().await.unwrap().planned;
        assert_eq!(planned.get(PlannedId(3)).and_then(|window| window.removed.clone()), Some(void));
    });
}

#[test]
fn the_same_is_planned_once_and_again_after_it_was_removed() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = std::sync::Arc::new(SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap());
        let saturday = work(Scope::Carrier("VNPT".to_owned()), "weekly sat 22:00-23:00");
        // Two administrators at the same moment.
        let adding = (0..10).map(|_| {
            let (store, work) = (std::sync::Arc::clone(&store), saturday.clone());
            tokio::spawn(async move { store.add_planned(&work).await.unwrap() })
        });
        let mut answers = Vec::new();
        for added in adding.collect::<Vec<_>>() {
            answers.push(added.await.unwrap());
        }
        let added = answers.iter().filter(|answer| matches!(answer, AddedWindow::Added(_))).count();
        assert_eq!((added, store.snapshot().await.unwrap().planned.windows().len()), (1, 1), "{answers:?}");
        assert!(answers.contains(&AddedWindow::Already(PlannedId(1))));
        let other = Work { valid_to: Some("2027-01-01".parse().unwrap()), ..saturday.clone() };
        assert_eq!(store.add_planned(&other).await.unwrap(), AddedWindow::Added(PlannedId(2)));
        let removal = Removal { at: UnixMillis(9), by: "B".to_owned(), void: true };
        assert!(store.remove_planned(PlannedId(1), &removal).await.unwrap());
        assert_eq!(store.add_planned(&saturday).await.unwrap(), AddedWindow::Added(PlannedId(3)));
    });
}

#[test]
fn the_ten_thousand_and_first_window_is_refused_and_a_void_one_makes_room() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wanwatch.db");
        let store = SqliteStore::open(&path).await.unwrap();
        // Written at once: each by itself would cost a sync.
        let direct = sqlx::sqlite::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             INSERT INTO planned_window (scope, scope_of, occurs, reason, added_ms, added_by) \
             SELECT 'all', '', 'once ' || i || '..' || (i + 1), 'x', 0, 'x' FROM n",
        )
        .bind(i64::try_from(MOST_WINDOWS).unwrap())
        .execute(&direct)
        .await
        .unwrap();
        direct.close().await;
        let one_more = work(Scope::All, "weekly sat 22:00-23:00");
        assert_eq!(store.add_planned(&one_more).await.unwrap(), AddedWindow::Full);
        assert_eq!(store.snapshot().await.unwrap().planned.windows().len(), MOST_WINDOWS);
        let ended = Removal { at: UnixMillis(9), by: "B".to_owned(), void: false };
        assert!(store.remove_planned(PlannedId(1), &ended).await.unwrap());
        assert_eq!(
            store.add_planned(&one_more).await.unwrap(),
            AddedWindow::Full,
            "it still covers its past"
        );
        assert!(store.remove_planned(PlannedId(1), &Removal { void: true, ..ended }).await.unwrap());
        assert!(matches!(store.add_planned(&one_more).await.unwrap(), AddedWindow::Added(_)));
    });
}

#[test]
fn a_planned_window_that_something_else_wrote_wrongly_is_named() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wanwatch.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let direct = sqlx::sqlite::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        sqlx::query(
            "INSERT INTO planned_window (scope, scope_of, occurs, reason, added_ms, added_by) \
             VALUES ('all', '', 'yearly', 'x', 0, 'x')",
        )
        .execute(&direct)
        .await
        .unwrap();
        direct.close().await;
        let told = store.snapshot().await.unwrap_err().to_string();
        assert!(told.contains("a planned window's time in the database is not valid: yearly"), "{told}");
    });
}
