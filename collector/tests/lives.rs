//! When hosts booted and agents started, from the wire to the store and back.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test")]

mod register;
mod running;

use std::path::Path;
use std::time::Duration;

use running::Running as Collector;
use wan_collector::config::Config;
use wan_collector::province::Province;
use wan_wire::{Label, Metric, Protocol, RequestBuilder, UnixMillis};

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const NEXT_ID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

fn config(data: &Path, checkpoint_interval: Duration) -> Config {
    Config { data: data.to_owned(), checkpoint_interval, ..Config::default() }
}

/// So long that none falls into the test: what another process sees then is what a kill leaves.
const NEVER: Duration = Duration::from_secs(3600);
const OFTEN: Duration = Duration::from_millis(100);

async fn seed(data: &Path) {
    let sites = [register::site("xa-a", "Ủy ban nhân dân xã A")];
    register::seed(&config(data, NEVER).database(), sites, &[("xa-a", "wan_secret")]).await.close().await;
}

fn seconds(at: UnixMillis) -> f64 {
    at.0 as f64 / 1000.0
}

/// What an agent tells of itself at an instant.
fn tell(request: &mut RequestBuilder, at: UnixMillis, id: Option<&str>, boot: f64, start: f64) {
    let mut info = vec![(Label::Version, "1.0.0")];
    info.extend(id.map(|id| (Label::BootId, id)));
    request.sample(Metric::AgentInfo, &info, at, 1.0).unwrap();
    request.sample(Metric::AgentBootTimeSeconds, &[], at, boot).unwrap();
    request.sample(Metric::AgentStartTimeSeconds, &[], at, start).unwrap();
}

async fn push(collector: &Collector, request: RequestBuilder) -> u16 {
    let post = collector.client.post(collector.url("/api/v1/write"));
    let post = post.bearer_auth("wan_secret").header("content-encoding", "snappy");
    let post = post.header("content-type", request.protocol().content_type());
    post.body(request.finish_compressed().unwrap()).send().await.unwrap().status().as_u16()
}

/// Waits until all of the history is loaded: what lies before it is kept by the journal alone until then.
async fn whole(collector: &Collector) {
    for _ in 0..600 {
        let ready =
            collector.client.get(collector.url("/readyz")).send().await.unwrap().text().await.unwrap();
        if ready == "ready\n" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the history was never loaded");
}

/// The boots and starts that a data folder tells of, in milliseconds after `base`, as after a kill of its collector.
async fn stored(data: &Path, base: UnixMillis) -> (Vec<i64>, Vec<i64>) {
    let state = wan_collector::load_read_only(config(data, NEVER)).await.unwrap();
    let province = Province::of(&state, base);
    let lives = province.site(&"xa-a".parse().unwrap()).unwrap().lives;
    let after = |times: Vec<UnixMillis>| times.iter().map(|at| at.millis_since(base)).collect();
    (after(lives.boots()), after(lives.starts()))
}

/// A day ago, on a whole second.
fn base() -> UnixMillis {
    UnixMillis((wan_collector::clock::now().0 / 1000 - 86_400) * 1000)
}

#[tokio::test(flavor = "multi_thread")]
async fn boots_and_starts_outlive_a_kill_before_and_after_a_checkpoint_and_the_loss_of_the_journal() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let at = |millis: i64| base.plus_millis(millis);
    let collector = Collector::begin(config(data.path(), NEVER)).await;
    let mut words = vec![
        // Until the collector has answered, the host's clock is an hour behind.
        (at(60_000 - 3_600_000), ID, at(-3_600_000), at(20_500 - 3_600_000)),
        (at(90_000), ID, at(0), at(20_500)),
        // The agent is restarted, then the power is cut.
        (at(600_000), ID, at(0), at(500_000)),
        (at(900_000), NEXT_ID, at(800_000), at(815_000)),
    ];
    // A backlog from the other path comes last, and a part of it twice.
    words.rotate_left(1);
    words.push(words[1]);
    for (told, id, boot, start) in words {
        let mut request = RequestBuilder::new(Protocol::V2);
        tell(&mut request, told, Some(id), seconds(boot), seconds(start));
        assert_eq!(push(&collector, request).await, 204);
    }
    let expected = (vec![0, 800_000], vec![20_000, 500_000, 815_000]);
    assert_eq!(stored(data.path(), base).await, expected, "killed before any checkpoint");

    let url = collector.url("/api/v1/sites/xa-a");
    let answer = collector.client.get(url).send().await.unwrap().bytes().await.unwrap();
    let site: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let boots = &site["agent"]["boots"];
    assert_eq!((boots[0]["boot"].as_str(), boots[1]["boot"].as_str()), (Some(NEXT_ID), Some(ID)));
    assert_eq!(boots[0]["at"], at(800_000).0);
    let starts: Vec<_> = boots[1]["starts"].as_array().unwrap().iter().map(|start| &start["at"]).collect();
    assert_eq!(starts, [at(500_000).0, at(20_000).0], "the newest first");
    assert!(boots[1]["at_local"].as_str().unwrap().ends_with("+07:00"));
    collector.stop().await;
    assert_eq!(stored(data.path(), base).await, expected, "after a clean stop");

    std::fs::remove_dir_all(config(data.path(), NEVER).journal_dir()).unwrap();
    assert_eq!(stored(data.path(), base).await, expected, "they are in the store");
    let collector = Collector::begin(config(data.path(), OFTEN)).await;
    let mut newer = RequestBuilder::new(Protocol::V1);
    tell(&mut newer, at(1_000_000), Some(NEXT_ID), seconds(at(801_000)), seconds(at(816_000)));
    assert_eq!(push(&collector, newer).await, 204);
    whole(&collector).await;
    collector.stop().await;
    std::fs::remove_dir_all(config(data.path(), NEVER).journal_dir()).unwrap();
    let expected = (vec![0, 801_000], vec![20_000, 500_000, 816_000]);
    assert_eq!(
        stored(data.path(), base).await,
        expected,
        "the newest word of a boot moves its starts with it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_several_moments_in_one_request_are_told_apart() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let at = |millis: i64| base.plus_millis(millis);
    let collector = Collector::begin(config(data.path(), NEVER)).await;
    let mut request = RequestBuilder::new(Protocol::V2);
    tell(&mut request, at(900_000), Some(NEXT_ID), seconds(at(800_000)), seconds(at(815_000)));
    tell(&mut request, at(90_000), Some(ID), seconds(at(0)), seconds(at(20_000)));
    assert_eq!(push(&collector, request).await, 204);
    assert_eq!(stored(data.path(), base).await, (vec![0, 800_000], vec![20_000, 815_000]));
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_cannot_be_and_ten_thousand_boots_a_minute_are_bounded_and_taken() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let at = |millis: i64| base.plus_millis(millis);
    let collector = Collector::begin(config(data.path(), OFTEN)).await;
    let mut request = RequestBuilder::new(Protocol::V2);
    for (moment, boot) in
        [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 32_503_680_000.0].into_iter().enumerate()
    {
        tell(&mut request, at(i64::try_from(moment).unwrap()), Some("x"), boot, boot);
    }
    assert_eq!(push(&collector, request).await, 204, "they are accepted as samples");
    assert_eq!(stored(data.path(), base).await, (vec![], vec![]));

    let mut flood = RequestBuilder::new(Protocol::V2);
    for n in 0..10_000 {
        tell(&mut flood, at(6 * n), Some(&format!("boot {n}")), seconds(at(6 * n)), seconds(at(6 * n)));
    }
    assert_eq!(push(&collector, flood).await, 204);
    whole(&collector).await;
    tokio::time::sleep(OFTEN * 3).await;
    let (boots, starts) = stored(data.path(), base).await;
    assert_eq!((boots.len(), starts.len()), (1024, 1024));
    assert_eq!((boots[0], boots[1023]), (6 * (10_000 - 1024), 6 * 9_999), "the newest stay");
    // They give way to what is told later, in the store too.
    let mut request = RequestBuilder::new(Protocol::V2);
    tell(&mut request, at(90_000), Some(ID), seconds(at(80_000)), seconds(at(85_000)));
    assert_eq!(push(&collector, request).await, 204);
    collector.stop().await;
    std::fs::remove_dir_all(config(data.path(), NEVER).journal_dir()).unwrap();
    let (boots, _) = stored(data.path(), base).await;
    assert_eq!((boots.len(), boots[0], boots[1023]), (1024, 6 * (10_000 - 1023), 80_000));
    let rows: i64 = {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(config(data.path(), NEVER).database());
        let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM life").fetch_one(&pool).await.unwrap()
    };
    assert_eq!(rows, 1024, "what was dropped is gone");
}
