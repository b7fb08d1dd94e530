//! A new secret in place of the present one, when the collector asks for it.
//!
//! The new one is on the disk before it is offered, and in place before it is used. Both are accepted until the collector has
//! seen the new one, so a crash between any two steps leaves the agent with one that is good: it begins again when it is asked
//! again, with the secret that it finds half-way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_wire::api::SecretOffer;

use crate::config::{self, Collector};
use crate::files;
use crate::push::Answered;
use crate::push::client::{Asked, Pushing};
use crate::push::trust::Times;
use crate::secret::Secret;

/// Between two attempts: while the old secret's last answers are under way, the collector still asks.
const REST: Duration = Duration::from_secs(60);

/// Offers a new secret each time when the collector asks for one, until `stop`.
pub(crate) async fn run(collector: &Collector, times: &Times, asked: &Asked, stop: &CancellationToken) {
    loop {
        let path = tokio::select! {
            path = asked.wait() => path,
            () = stop.cancelled() => return,
        };
        match &collector.secret {
            config::Secret::Inline(_) => tracing::warn!(
                "the collector asks for a new secret, but this one stands in the configuration itself; put it into a file \
                 (collector.secret_file) to let the agent replace it"
            ),
            config::Secret::File(file) => {
                // Clients of its own: the connection is gone when this is done.
                let pushing = Pushing::with_times(collector.clone(), Arc::clone(times));
                tokio::select! {
                    () = replace(&pushing, path, file) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One attempt.
async fn replace(pushing: &Pushing, path: usize, file: &Path) {
    let Some(present) = std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned()) else { return };
    let next = next_to(file);
    let made = match Secret::kept(&next) {
        Some(secret) => Ok(secret),
        None => Secret::generate().and_then(|secret| secret.keep(&next).map(|()| secret)),
    };
    let secret = match made {
        Ok(secret) => secret,
        Err(error) => {
            tracing::warn!(
                file = %next.display(), %error,
                "the collector asks for a new secret, but it cannot be written; the present one stays good"
            );
            return;
        }
    };
    let offer = SecretOffer { secret_sha256: secret.sha256() };
    let told = pushing.offer(path, &present, &offer).await;
    // Something on the way may answer anything: the only good secret is not given away for it.
    let is_collectors = told.exchange.is_some_and(|exchange| exchange.is_collectors());
    match told.answered {
        Answered::Status { .. } if !is_collectors => {
            tracing::debug!(
                why = told.why,
                "the new secret could not be offered: no collector answers there"
            );
        }
        Answered::Status { code: 204, .. } => match files::rename(&next, file) {
            Ok(()) => {
                tracing::info!(file = %file.display(), "the collector asked for a new secret; it is in place")
            }
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the new secret cannot be put in place; the present one stays good");
            }
        },
        // Not wanted any more, or not this one: the next time with another.
        Answered::Status { code: 400 | 409, .. } => {
            let _ = std::fs::remove_file(&next);
            tracing::debug!(why = told.why, "the new secret is not wanted");
        }
        Answered::Status { .. } | Answered::Failed => {
            tracing::debug!(why = told.why, "the new secret could not be offered");
        }
    }
}

/// Where the new secret waits.
pub(crate) fn next_to(file: &Path) -> PathBuf {
    files::beside(file, ".next")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::config::Endpoint;

    struct Site {
        folder: tempfile::TempDir,
        server: MockServer,
    }

    impl Site {
        async fn new() -> Site {
            crate::install_crypto();
            let site = Site { folder: tempfile::tempdir().unwrap(), server: MockServer::start().await };
            std::fs::write(site.file(), "wan_old\n").unwrap();
            site
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("secret")
        }

        async fn answers(&self, status: u16) {
            self.server.reset().await;
            Mock::given(method("POST"))
                .and(path("/api/v1/agent/secret"))
                .and(header("authorization", "Bearer wan_old"))
                .respond_with(ResponseTemplate::new(status).insert_header("wan-time", "1800000000000"))
                .mount(&self.server)
                .await;
        }

        async fn attempt(&self) {
            let collector = Collector {
                urls: vec![Endpoint {
                    url: format!("{}/api/v1/write", self.server.uri()),
                    host: "127.0.0.1".into(),
                    path: wan_wire::LinkKind::Wan.into(),
                    interface: None,
                    source: None,
                }],
                secret: config::Secret::File(self.file()),
                ca_file: None,
                pins: Vec::new(),
                timeout: Duration::from_secs(5),
            };
            replace(&Pushing::new(collector), 0, &self.file()).await;
        }

        async fn offered(&self) -> Vec<String> {
            let requests = self.server.received_requests().await.unwrap();
            let offer = |body: &[u8]| serde_json::from_slice::<SecretOffer>(body).unwrap().secret_sha256;
            requests.iter().map(|request| offer(&request.body)).collect()
        }
    }

    #[tokio::test]
    async fn a_secret_is_offered_until_it_is_answered_and_then_put_in_place() {
        let site = Site::new().await;
        site.answers(503).await;
        site.attempt().await;
        let waiting = Secret::kept(&next_to(&site.file())).unwrap();
        assert_eq!(site.offered().await, [waiting.sha256()]);
        assert_eq!(
            std::fs::read_to_string(site.file()).unwrap(),
            "wan_old\n",
            "nothing changes without an answer"
        );

        // The process ended and began anew: the same one is offered, since its offer may have arrived.
        site.answers(204).await;
        site.attempt().await;
        assert_eq!(site.offered().await, [waiting.sha256()]);
        assert_eq!(std::fs::read_to_string(site.file()).unwrap(), waiting.line());
        assert_eq!(std::fs::metadata(site.file()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!next_to(&site.file()).exists());
    }

    #[tokio::test]
    async fn what_is_not_the_collectors_answer_changes_nothing() {
        let site = Site::new().await;
        for status in [204, 409] {
            site.server.reset().await;
            let answer = ResponseTemplate::new(status).insert_header("date", "Mon, 23 Nov 2026 07:00:00 GMT");
            Mock::given(method("POST")).respond_with(answer).mount(&site.server).await;
            site.attempt().await;
            assert_eq!(std::fs::read_to_string(site.file()).unwrap(), "wan_old\n", "{status}");
            assert!(Secret::kept(&next_to(&site.file())).is_some(), "{status}");
        }
    }

    #[tokio::test]
    async fn one_that_is_not_wanted_or_torn_is_made_anew() {
        let site = Site::new().await;
        site.answers(409).await;
        site.attempt().await;
        assert!(!next_to(&site.file()).exists());
        std::fs::write(next_to(&site.file()), "wan_torn").unwrap();
        site.answers(500).await;
        site.attempt().await;
        let made = Secret::kept(&next_to(&site.file())).unwrap();
        assert_eq!(site.offered().await, [made.sha256()]);
        assert_eq!(std::fs::read_to_string(site.file()).unwrap(), "wan_old\n");
    }

    #[tokio::test]
    async fn without_a_place_to_write_the_present_one_stays() {
        let site = Site::new().await;
        site.answers(204).await;
        let file = site.folder.path().join("no/secret");
        std::fs::create_dir(site.folder.path().join("no")).unwrap();
        std::fs::write(&file, "wan_old\n").unwrap();
        // A folder in the way of what is written beside it.
        std::fs::create_dir(next_to(&file)).unwrap();
        let pushing = Pushing::new(Collector {
            urls: Vec::new(),
            secret: config::Secret::File(file.clone()),
            ca_file: None,
            pins: Vec::new(),
            timeout: Duration::from_secs(5),
        });
        replace(&pushing, 0, &file).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "wan_old\n");
    }
}
