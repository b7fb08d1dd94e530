//! Deliveries to receivers that fail, hang, answer slowly and die; and a collector that dies between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod heard;
mod notices;
mod posting;
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heard::Request;
use posting::{Post, eventually, notice};
use running::Running;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wan_collector::alert::{Event, Notice};
use wan_collector::clock;
use wan_collector::config::Config;
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;

/// What a receiver was sent.
#[derive(Clone, Debug)]
struct Heard {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Heard {
    fn key(&self) -> &str {
        &self.headers["idempotency-key"]
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// With this status, and this further header.
    Status(u16, &'static str),
    /// With 200 and this body.
    Says(&'static str),
    /// With 200 and a body without end.
    Floods,
    /// After a while, with 200.
    Late(Duration),
    /// Not at all: it reads and keeps the connection open.
    Never,
    /// It closes the connection.
    Close,
}

const GOOD: Answer = Answer::Status(200, "");

/// A receiver that answers as it is told; its last word holds for all that follows.
struct Receiver {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        let (its_heard, its_answers) = (Arc::clone(&heard), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&its_heard), Arc::clone(&its_answers)));
            }
        });
        Self { url, heard, answers, task }
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    fn answer(&self, answers: &[Answer]) {
        *self.answers.lock().unwrap() = answers.to_vec();
    }

    async fn until(&self, count: usize) -> Vec<Heard> {
        eventually(|| self.heard().len() >= count).await;
        self.heard()
    }
}

async fn serve(mut stream: TcpStream, all: Arc<Mutex<Vec<Heard>>>, answers: Arc<Mutex<Vec<Answer>>>) {
    let mut read = Vec::new();
    while let Some(Request { path, headers, body }) = heard::request(&mut stream, &mut read).await {
        let body = String::from_utf8(body).unwrap();
        all.lock().unwrap().push(Heard { path, headers, body });
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 { answers.remove(0) } else { answers[0] }
        };
        let text = match answer {
            Answer::Status(status, header) => {
                format!("HTTP/1.1 {status} X\r\n{header}Content-Length: 3\r\n\r\nwhy")
            }
            Answer::Says(body) => format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            Answer::Floods => {
                let _ = stream.write_all(b"HTTP/1.1 200 X\r\n\r\n{\"error\":0,\"x\":\"").await;
                while stream.write_all(&[b'x'; 1 << 16]).await.is_ok() {}
                return;
            }
            Answer::Late(wait) => {
                tokio::time::sleep(wait).await;
                "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            Answer::Never => {
                std::future::pending::<()>().await;
                return;
            }
            Answer::Close => return,
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn hooks(urls: &[(&str, &str)]) -> String {
    let mut text = "  channels:\n".to_owned();
    for (name, url) in urls {
        text.push_str(&format!("    - {{name: {name}, webhook: {{url: '{url}/x', timeout: 500ms}}}}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_goes_out_at_once_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[GOOD]).await;
    let post = Post::begin(folder.path(), &hooks(&[("a", &receiver.url)])).await;
    let fired = notice(1, Event::Fired);
    post.push(&[&fired], &["a"]).await;
    let heard = receiver.until(1).await;
    assert_eq!((heard[0].path.as_str(), heard[0].key()), ("/x", fired.id.as_str()));
    let body = heard[0].json();
    assert_eq!(body["title"], "[SỰ CỐ] Hệ thống giám sát: Hệ thống giám sát mất kết nối");
    assert_eq!(serde_json::from_value::<Notice>(body).unwrap(), fired);
    post.until("a", "delivered", 1).await;
    post.push(&[&fired], &["a"]).await;
    post.push(&[&notice(2, Event::Fired)], &["a"]).await;
    assert_eq!(receiver.until(2).await.len(), 2, "the same again is nothing new");
    post.until("a", "delivered", 2).await;
    assert_eq!(post.state.counters.outbox_pending.with_label_values(&["a"]).get(), 0);
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_in_the_order_of_its_alert() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[
        Answer::Status(500, ""),
        Answer::Close,
        Answer::Status(429, "Retry-After: 1\r\n"),
        GOOD,
    ])
    .await;
    let post = Post::begin(folder.path(), &hooks(&[("a", &receiver.url)])).await;
    let (fired, reminder) = (notice(1, Event::Fired), notice(1, Event::Reminder));
    post.push(&[&fired, &reminder], &["a"]).await;
    post.until("a", "delivered", 2).await;
    let keys: Vec<String> = receiver.heard().iter().map(|heard| heard.key().to_owned()).collect();
    let (fired, reminder) = (fired.id.to_string(), reminder.id.to_string());
    assert_eq!(keys, [fired.clone(), fired.clone(), fired.clone(), fired, reminder]);
    assert_eq!(post.count("a", "failed"), 3);
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_or_answers_late_delays_no_other_channel() {
    let folder = tempfile::tempdir().unwrap();
    let (hangs, slow, good) = (
        Receiver::new(&[Answer::Never]).await,
        Receiver::new(&[Answer::Late(Duration::from_millis(200))]).await,
        Receiver::new(&[GOOD]).await,
    );
    let channels = hooks(&[("hangs", &hangs.url), ("slow", &slow.url), ("good", &good.url)]);
    let post = Post::begin(folder.path(), &channels).await;
    let all: Vec<Notice> = (0..20).map(|alert| notice(alert, Event::Fired)).collect();
    let all: Vec<&Notice> = all.iter().collect();
    post.push(&all, &["hangs", "slow", "good"]).await;
    post.until("good", "delivered", 20).await;
    assert_eq!(post.count("hangs", "delivered"), 0);
    assert!(hangs.heard().len() <= 20, "it is left in peace between tries");
    post.until("slow", "delivered", 3).await;
    let keys: Vec<String> = good.heard().iter().map(|heard| heard.key().to_owned()).collect();
    let expected: Vec<String> = all.iter().map(|notice| notice.id.to_string()).collect();
    assert_eq!(keys, expected, "in the order of the outbox");
    post.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_counted_and_holds_up_nothing_and_redirects_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Receiver::new(&[GOOD]).await;
    let location: &'static str = Box::leak(format!("Location: {}/y\r\n", elsewhere.url).into_boxed_str());
    let receiver = Receiver::new(&[Answer::Status(404, ""), Answer::Status(302, location), GOOD]).await;
    let post = Post::begin(folder.path(), &hooks(&[("a", &receiver.url)])).await;
    let all = [1, 2, 3].map(|alert| notice(alert, Event::Fired));
    post.push(&all.each_ref(), &["a"]).await;
    post.until("a", "delivered", 1).await;
    assert_eq!(post.count("a", "refused"), 2);
    assert!(elsewhere.heard().is_empty());
    let mut states = Vec::new();
    for notice in &all {
        let progress = post.store.notice_progress(&notice.id).await.unwrap();
        states.extend(progress.into_iter().map(|progress| progress.state));
    }
    assert_eq!(states, ["refused", "refused", "delivered"]);
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_of_200_says_decides_where_the_configuration_expects_something_of_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "hunter22\n").unwrap();
    let receiver = Receiver::new(&[
        Answer::Says(r#"{"error":-216,"message":"hunter22 is no good token"}"#),
        Answer::Floods,
        Answer::Says(""),
        Answer::Says(r#"{"error":0}"#),
    ])
    .await;
    let hook = |url: &str| {
        let (token, expect) = (folder.path().join("token"), "{json: /error, equals: 0, refused: -213}");
        let token = token.display();
        format!(
            "  channels:\n    - {{name: a, webhook: {{url: '{url}/x', secret_file: {token}, expect: {expect}}}}}\n"
        )
    };
    let post = Post::begin(folder.path(), &hook(&receiver.url)).await;
    let fired = notice(1, Event::Fired);
    post.push(&[&fired], &["a"]).await;
    post.until("a", "failed", 1).await;
    let said = async |of: &Notice| {
        let progress = post.store.notice_progress(&of.id).await.unwrap().remove(0);
        (progress.state, progress.complaint.unwrap_or_default())
    };
    post.until("a", "delivered", 1).await;
    assert_eq!(post.count("a", "failed"), 3);
    assert_eq!(receiver.heard().len(), 4);

    receiver.answer(&[Answer::Says(r#"{"error":-213,"message":"hunter22: no follower"}"#)]);
    let other = notice(2, Event::Fired);
    post.push(&[&other], &["a"]).await;
    post.until("a", "refused", 1).await;
    let told = r#"answered 200, /error is -213, not 0: {"error":-213,"message":"…: no follower"}"#;
    assert_eq!(said(&other).await, ("refused".to_owned(), told.to_owned()));
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_and_repeats_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[GOOD, GOOD, Answer::Never]).await;
    let channels = hooks(&[("a", &receiver.url)]).replace("500ms", "60s");
    let post = Post::begin(folder.path(), &channels).await;
    let all = [1, 2, 3, 4].map(|alert| notice(alert, Event::Fired));
    post.push(&all.each_ref(), &["a"]).await;
    receiver.until(3).await;
    post.until("a", "delivered", 2).await;
    post.kill().await;
    receiver.answer(&[GOOD]);
    let post = Post::begin(folder.path(), &channels).await;
    post.until("a", "delivered", 2).await;
    let keys: Vec<String> = receiver.heard().iter().map(|heard| heard.key().to_owned()).collect();
    let ids = all.map(|notice| notice.id.to_string());
    // The third was not confirmed: it comes again, under the same key.
    let expected = [&ids[0], &ids[1], &ids[2], &ids[2], &ids[3]];
    assert_eq!(keys.iter().collect::<Vec<_>>(), expected);
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_over_before_it_could_be_told_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[Answer::Status(503, "")]).await;
    let post = Post::begin(folder.path(), &hooks(&[("a", &receiver.url)])).await;
    let (fired, resolved) = (notice(1, Event::Fired), notice(1, Event::Resolved));
    post.push(&[&fired], &["a"]).await;
    receiver.until(1).await;
    post.push(&[&resolved], &["a"]).await;
    receiver.answer(&[GOOD]);
    post.until("a", "delivered", 1).await;
    assert_eq!(post.count("a", "superseded"), 1);
    assert_eq!(receiver.heard().last().unwrap().key(), resolved.id.as_str());
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_took_for_too_long_is_given_up_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    // A port that nobody listens on.
    let channels = format!("  expire: 1m\n{}", hooks(&[("a", "http://127.0.0.1:9")]));
    let mut old = notice(1, Event::Fired);
    old.at = clock::now().minus(Duration::from_secs(3600));
    let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
    notices::push(&store, &[(old, "a".parse().unwrap())]).await;
    store.close().await;
    let post = Post::begin(folder.path(), &channels).await;
    post.until("a", "expired", 1).await;
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_is_told_again_what_fires_until_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Receiver::new(&[GOOD]).await, Receiver::new(&[Answer::Close]).await);
    let channels = format!(
        "  channels: [{{name: am, alertmanager: {{urls: ['{}', '{}'], resend: 1s}}}}]\n",
        one.url, other.url
    );
    let post = Post::begin(folder.path(), &channels).await;
    post.push(&[&notice(1, Event::Fired)], &["am"]).await;
    let heard = one.until(3).await;
    assert!(heard.iter().all(|heard| heard.path == "/api/v2/alerts"));
    for heard in &heard {
        let alerts = heard.json();
        assert_eq!(alerts[0]["labels"]["alertname"], "collector_blind");
        assert!(alerts[0].get("endsAt").is_none());
    }
    assert!(!other.heard().is_empty(), "every instance is told");
    post.push(&[&notice(1, Event::Resolved)], &["am"]).await;
    eventually(|| one.heard().last().is_some_and(|heard| heard.json()[0].get("endsAt").is_some())).await;
    let count = one.heard().len();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(one.heard().len(), count, "nothing is told of what is over");
    post.stop().await;
}

/// The other test in a process of its own, by whose clock the machine's can be set back.
#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_behind_a_proxy_gets_the_login_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    for (keys, first, then) in [
        ("user: wan, password_file", "Basic d2FuOnNlY3JldDE=", "Basic d2FuOnNlY3JldDI="),
        ("token_file", "Bearer secret1", "Bearer secret2"),
    ] {
        std::fs::write(&secret, "secret1\n").unwrap();
        let receiver = Receiver::new(&[Answer::Status(401, "WWW-Authenticate: x\r\n")]).await;
        let data = tempfile::tempdir().unwrap();
        let settings = format!(
            "  channels: [{{name: a, alertmanager: {{urls: ['{}'], {keys}: {}}}}}]\n",
            receiver.url,
            secret.display()
        );
        let post = Post::begin(data.path(), &settings).await;
        post.push(&[&notice(1, Event::Fired)], &["a"]).await;
        post.until("a", "failed", 1).await;
        assert_eq!(receiver.heard()[0].headers["authorization"], first);
        std::fs::write(&secret, "secret2\n").unwrap();
        receiver.answer(&[GOOD]);
        post.until("a", "delivered", 1).await;
        assert_eq!(receiver.heard().last().unwrap().headers["authorization"], then);
        post.stop().await;
    }
}

#[test]
fn a_clock_that_is_set_back_holds_up_no_resending() {
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+0").unwrap();
    let library = std::fs::read_dir("/usr/lib")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .chain(["/usr/lib/faketime/libfaketimeMT.so.1".into()])
        .find(|path| path.is_file())
        .expect("Debian package faketime");
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "an_alertmanager_is_told_again_when_the_clock_was_set_back", "--ignored"])
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a clock that it can set; a_clock_that_is_set_back_holds_up_no_resending runs it"]
async fn an_alertmanager_is_told_again_when_the_clock_was_set_back() {
    let offset = std::env::var("FAKETIME_TIMESTAMP_FILE").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[GOOD]).await;
    let channels =
        format!("  channels: [{{name: am, alertmanager: {{urls: '{}', resend: 1s}}}}]\n", receiver.url);
    let post = Post::begin(folder.path(), &channels).await;
    post.push(&[&notice(1, Event::Fired)], &["am"]).await;
    post.until("am", "resent", 1).await;
    let before = clock::now();
    // Replaced as a whole: it is read meanwhile.
    std::fs::write(format!("{offset}.new"), "-3600").unwrap();
    std::fs::rename(format!("{offset}.new"), &offset).unwrap();
    eventually(|| clock::now() < before.minus(Duration::from_secs(3000))).await;
    let resent = post.count("am", "resent");
    post.until("am", "resent", resent + 2).await;
    post.stop().await;
}

/// A mail server that takes every message and never answers a QUIT; says how often it took one.
async fn mute_mail_server() -> (u16, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let took: Arc<Mutex<u32>> = Arc::default();
    let its_took = Arc::clone(&took);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take_mail(stream, Arc::clone(&its_took)));
        }
    });
    (port, took)
}

async fn take_mail(stream: TcpStream, took: Arc<Mutex<u32>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = tokio::io::BufReader::new(read).lines();
    write.write_all(b"220 mail.test\r\n").await?;
    let mut is_message = false;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.as_str() {
            "." => {
                is_message = false;
                *took.lock().unwrap() += 1;
                "250 taken\r\n"
            }
            _ if is_message => continue,
            "QUIT" => continue,
            "DATA" => {
                is_message = true;
                "354 go on\r\n"
            }
            _ => "250 mail.test\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_took_the_message_and_says_no_goodbye_gets_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let (port, took) = mute_mail_server().await;
    let channels = format!(
        "  channels: [{{name: m, smtp: {{host: 127.0.0.1, port: {port}, security: none, from: a@b.vn, to: c@d.vn, timeout: 2s}}}}]\n"
    );
    let post = Post::begin(folder.path(), &channels).await;
    post.push(&[&notice(1, Event::Fired)], &["m"]).await;
    eventually(|| post.count("m", "delivered") + post.count("m", "failed") > 0).await;
    assert_eq!((post.count("m", "delivered"), post.count("m", "failed")), (1, 0));
    assert_eq!(*took.lock().unwrap(), 1);
    post.stop().await;
}

/// A program of a channel.
fn script(folder: &Path, lines: &str) -> PathBuf {
    let script = folder.join("tell");
    std::fs::write(&script, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_the_notice_and_nothing_of_the_collectors_environment() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let script = script(
        folder.path(),
        &format!(
            "cat > {out}/input\nenv > {out}/environment.new\nmv {out}/environment.new {out}/environment"
        ),
    );
    let channels = format!("  channels: [{{name: c, command: {{run: ['{}']}}}}]\n", script.display());
    let post = Post::begin(folder.path(), &channels).await;
    let mut fired = notice(1, Event::Fired);
    fired.why.vi = "$(touch /tmp/x) `id` \"; rm -rf".to_owned();
    post.push(&[&fired], &["c"]).await;
    post.until("c", "delivered", 1).await;
    let input = std::fs::read_to_string(folder.path().join("input")).unwrap();
    assert_eq!(serde_json::from_str::<Notice>(&input).unwrap(), fired);
    let environment = std::fs::read_to_string(folder.path().join("environment")).unwrap();
    assert!(environment.contains(&format!("WANWATCH_ID={}\n", fired.id)), "{environment}");
    assert!(environment.contains("`id`"), "{environment}");
    assert!(!environment.contains("CARGO"), "{environment}");
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_killed_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let script = script(folder.path(), &format!("sleep 777 &\necho $! > {out}/pid\nwait"));
    let channels =
        format!("  channels: [{{name: c, command: {{run: ['{}'], timeout: 2s}}}}]\n", script.display());
    let post = Post::begin(folder.path(), &channels).await;
    post.push(&[&notice(1, Event::Fired)], &["c"]).await;
    post.until("c", "failed", 1).await;
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // A zombie waits for whoever takes orphans in.
    eventually(|| std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))).await;
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_delivers_what_waited_before_its_start_and_says_that_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, dead_man) = (Receiver::new(&[GOOD]).await, Receiver::new(&[GOOD]).await);
    let text = format!(
        "alerts:\n{}  heartbeat: {{url: '{}/ping', every: 1s}}\n",
        hooks(&[("a", &receiver.url)]),
        dead_man.url
    );
    let config = Config { data: folder.path().to_owned(), ..Config::parse("c", text.as_bytes()).unwrap() };
    let waits = notice(1, Event::Fired);
    let store = SqliteStore::open(&config.database()).await.unwrap();
    notices::push(&store, &[(waits.clone(), "a".parse().unwrap())]).await;
    store.close().await;
    let running = Running::begin(config).await;
    assert_eq!(receiver.until(1).await[0].key(), waits.id.as_str());
    let beats = dead_man.until(3).await;
    assert!(beats.iter().all(|beat| beat.path == "/ping" && beat.body.is_empty()), "{beats:?}");
    let shown = running.client.get(running.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        shown.contains("wan_collector_notices_total{channel=\"heartbeat\",result=\"delivered\"}"),
        "{shown}"
    );
    running.stop().await;
    let count = dead_man.heard().len();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(dead_man.heard().len(), count, "its silence is the alarm");
}
