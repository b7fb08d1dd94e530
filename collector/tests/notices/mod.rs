//! Notices, and how they come into an outbox.

use wan_collector::alert::record::AlertChanges;
use wan_collector::alert::text::samples;
use wan_collector::alert::{AlertId, Event, Notice, NoticeId};
use wan_collector::config::alerts::ChannelName;
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;
use wan_wire::UnixMillis;

/// What is told at `at` of the alert of this number.
pub(crate) fn notice(alert: i64, event: Event, at: UnixMillis) -> Notice {
    let mut notice = samples().remove(0);
    notice.alert = AlertId::of(notice.rule, &notice.subject, UnixMillis(alert));
    notice.event = event;
    notice.at = at;
    notice.id = NoticeId::of(&notice.alert, event, notice.at);
    notice
}

/// Writes notices, each for one channel.
pub(crate) async fn push(store: &SqliteStore, notices: &[(Notice, ChannelName)]) {
    let notices = notices.iter().map(|(notice, channel)| (notice.clone(), vec![channel.clone()])).collect();
    store.write_alerts(&AlertChanges { notices, ..AlertChanges::default() }).await.unwrap();
}
