//! Deliveries in the test's own process, on a store of the test's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wan_collector::alert::deliver::{self, Bell};
use wan_collector::alert::{Event, Notice};
use wan_collector::clock;
use wan_collector::config::Config;
use wan_collector::config::alerts::ChannelName;
use wan_collector::counters::Counters;
use wan_collector::state::State;
use wan_collector::store::sqlite::SqliteStore;

use crate::notices;

/// For what takes milliseconds, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("it did not happen");
}

/// Deliveries of a configuration, with the store that they work from.
pub(crate) struct Post {
    pub(crate) state: Arc<State>,
    pub(crate) store: Arc<SqliteStore>,
    bell: Arc<Bell>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Post {
    pub(crate) async fn begin(folder: &Path, alerts: &str) -> Self {
        let config = Config::parse("c", format!("alerts:\n{alerts}").as_bytes()).unwrap();
        let state = Arc::new(State::new(config, None, Arc::new(Counters::new().unwrap())));
        let store = Arc::new(SqliteStore::open(&folder.join("wanwatch.db")).await.unwrap());
        let (bell, stop) = (Arc::new(Bell::default()), CancellationToken::new());
        let task = tokio::spawn(deliver::run(
            Arc::clone(&state),
            Arc::clone(&store),
            Arc::clone(&bell),
            stop.clone(),
        ));
        Self { state, store, bell, stop, task }
    }

    pub(crate) async fn push(&self, notices: &[&Notice], channels: &[&str]) {
        for channel in channels {
            let channel: ChannelName = channel.parse().unwrap();
            let all: Vec<_> = notices.iter().map(|notice| ((*notice).clone(), channel.clone())).collect();
            notices::push(&self.store, &all).await;
        }
        self.bell.ring();
    }

    pub(crate) fn count(&self, channel: &str, result: &str) -> u64 {
        self.state.counters.notices.with_label_values(&[channel, result]).get()
    }

    pub(crate) async fn until(&self, channel: &str, result: &str, count: u64) {
        eventually(|| self.count(channel, result) >= count).await;
    }

    /// Ends it as SIGKILL would: nothing is finished or written any more.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        self.store.close().await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.store.close().await;
    }
}

pub(crate) fn notice(alert: i64, event: Event) -> Notice {
    notices::notice(alert, event, clock::now())
}
