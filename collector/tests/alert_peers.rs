//! Deliveries to a real Alertmanager and a real mail server. Without them the tests fail; `./tests/run` installs both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod notices;
mod posting;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use posting::{Post, eventually, notice};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use wan_collector::alert::{Event, Notice};

/// A program that ends with its test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An authority, and a certificate of its for 127.0.0.1.
struct Trust {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Trust {
    fn new(folder: &Path) -> Self {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let leaf =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let trust = Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join("leaf.pem"),
            key: folder.join("key.pem"),
        };
        std::fs::write(&trust.ca, ca.pem()).unwrap();
        std::fs::write(&trust.certificate, leaf.pem()).unwrap();
        std::fs::write(&trust.key, key.serialize_pem()).unwrap();
        trust
    }
}

/// A mail server.
struct Mail {
    _peer: Peer,
    port: u16,
    out: PathBuf,
}

/// A message that it took.
#[derive(Debug)]
struct Message {
    to: Vec<String>,
    content: String,
    secured: bool,
    authenticated: bool,
}

impl Mail {
    fn start(folder: &Path, security: &str, trust: &Trust) -> Self {
        let out = folder.join("messages");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/smtp_server.py");
        // Debian's own Python has the package, whatever other stands before it.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(security)
            .args([&trust.certificate, &trust.key, &out])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3, Debian package python3-aiosmtpd");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port =
            port.trim().parse().expect("the mail server's port: is Debian's package python3-aiosmtpd there?");
        Self { _peer: Peer(child), port, out }
    }

    fn messages(&self) -> Vec<Message> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .map(|message| Message {
                to: message["to"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|to| to.as_str().unwrap().to_owned())
                    .collect(),
                content: message["content"].as_str().unwrap().to_owned(),
                secured: message["secured"].as_bool().unwrap(),
                authenticated: message["authenticated"].as_bool().unwrap(),
            })
            .collect()
    }
}

fn smtp(folder: &Path, port: u16, rest: &str) -> String {
    std::fs::write(folder.join("password"), "mật khẩu\n").unwrap();
    format!(
        "  channels: [{{name: mail, smtp: {{host: 127.0.0.1, port: {port}, from: 'Giám sát WAN <wan@example.vn>', {rest}}}}}]\n"
    )
}

fn login(folder: &Path, trust: &Trust) -> String {
    format!(
        "user: wanwatch, password_file: '{}', ca_file: '{}'",
        folder.join("password").display(),
        trust.ca.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_goes_by_starttls_and_login_in_vietnamese_with_plain_text_and_html() {
    let folder = tempfile::tempdir().unwrap();
    let trust = Trust::new(folder.path());
    let server = Mail::start(folder.path(), "starttls", &trust);
    let rest =
        format!("{}, to: [a@example.vn, no@example.vn, 'Trực <b@example.vn>']", login(folder.path(), &trust));
    let post = Post::begin(folder.path(), &smtp(folder.path(), server.port, &rest)).await;
    let mut fired = notice(1, Event::Fired);
    fired.why.vi = "Không thấy tin của đơn vị nào".to_owned();
    post.push(&[&fired], &["mail"]).await;
    post.until("mail", "delivered", 1).await;
    let messages = server.messages();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert!(message.secured && message.authenticated);
    assert_eq!(message.to, ["a@example.vn", "b@example.vn"], "who is refused costs nobody else");
    let script = "import sys, email, email.policy\n\
                  m = email.message_from_string(sys.stdin.read(), policy=email.policy.default)\n\
                  print(m['Subject']); print(m['From']); print(m['Message-ID']); print(m['Auto-Submitted'])\n\
                  print(','.join(p.get_content_type() for p in m.walk()))\n\
                  print(m.get_body(('plain',)).get_content()); print(m.get_body(('html',)).get_content())\n";
    let read = read_by_python(script, &message.content);
    assert!(read.contains("[SỰ CỐ] Hệ thống giám sát: Hệ thống giám sát mất kết nối"), "{read}");
    assert!(read.contains("Giám sát WAN <wan@example.vn>"), "{read}");
    assert!(read.contains(&format!("<{}@example.vn>", fired.id)), "{read}");
    assert!(read.contains("auto-generated"), "{read}");
    assert!(read.contains("multipart/alternative,text/plain,text/html"), "{read}");
    assert_eq!(read.matches("Không thấy tin của đơn vị nào").count(), 2, "{read}");
    post.stop().await;
}

fn read_by_python(script: &str, input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("PYTHONIOENCODING", "utf-8")
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_goes_by_tls_and_is_tried_again_after_a_refusal_for_now() {
    let folder = tempfile::tempdir().unwrap();
    let trust = Trust::new(folder.path());
    let server = Mail::start(folder.path(), "tls", &trust);
    let rest = format!("security: tls, {}, to: later@example.vn", login(folder.path(), &trust));
    let post = Post::begin(folder.path(), &smtp(folder.path(), server.port, &rest)).await;
    post.push(&[&notice(1, Event::Fired)], &["mail"]).await;
    post.until("mail", "delivered", 1).await;
    assert_eq!(post.count("mail", "failed"), 1);
    let messages = server.messages();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].secured && messages[0].authenticated);
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_without_a_certificate_that_is_trusted_or_without_starttls() {
    let folder = tempfile::tempdir().unwrap();
    let trust = Trust::new(folder.path());
    let untrusted = Mail::start(folder.path(), "starttls", &trust);
    let other = tempfile::tempdir().unwrap();
    let plain = Mail::start(other.path(), "none", &trust);
    let password = folder.path().join("password").display().to_string();
    std::fs::write(&password, "mật khẩu").unwrap();
    let channel = |name: &str, port: u16| {
        format!(
            "    - {{name: {name}, smtp: {{host: 127.0.0.1, port: {port}, user: wanwatch, password_file: '{password}', from: a@b.vn, to: c@d.vn}}}}\n"
        )
    };
    let channels =
        format!("  channels:\n{}{}", channel("untrusted", untrusted.port), channel("plain", plain.port));
    let post = Post::begin(folder.path(), &channels).await;
    post.push(&[&notice(1, Event::Fired)], &["untrusted", "plain"]).await;
    post.until("untrusted", "failed", 1).await;
    post.until("plain", "failed", 1).await;
    assert!(untrusted.messages().is_empty() && plain.messages().is_empty());
    post.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_goes_in_envelopes_and_after_a_kill_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let trust = Trust::new(folder.path());
    let server = Mail::start(folder.path(), "none", &trust);
    let all: Vec<String> = (0..1020).map(|number| format!("a{number}@example.vn")).collect();
    let rest = format!("security: none, to: [{}]", all.join(", "));
    let channels = smtp(folder.path(), server.port, &rest);
    let post = Post::begin(folder.path(), &channels).await;
    let fired = notice(1, Event::Fired);
    post.push(&[&fired], &["mail"]).await;
    post.until("mail", "progress", 3).await;
    post.kill().await;
    let post = Post::begin(folder.path(), &channels).await;
    post.until("mail", "delivered", 1).await;
    let messages = server.messages();
    assert!(messages.iter().all(|message| message.to.len() <= 50));
    assert!(messages.iter().all(|message| message.content.contains("To: undisclosed-recipients:;")));
    let mut told: Vec<String> = messages.iter().flat_map(|message| message.to.clone()).collect();
    let twice = told.len();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), all.len(), "everybody");
    assert!(twice - told.len() <= 50, "at most the envelope that the kill left unconfirmed goes twice");
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_knows_what_fires_and_sends_its_end_on() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = folder.path().join("alertmanager.yml");
    std::fs::write(
        &configuration,
        "global: {resolve_timeout: 5s}\nroute: {receiver: none}\nreceivers: [{name: none}]\n",
    )
    .unwrap();
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Debian package prometheus-alertmanager");
    let _peer = Peer(child);
    let url = format!("http://127.0.0.1:{port}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let active = async || -> Option<Vec<serde_json::Value>> {
        let answer = client.get(format!("{url}/api/v2/alerts")).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    };
    let channels =
        format!("  channels: [{{name: am, lang: en, alertmanager: {{urls: '{url}', resend: 1s}}}}]\n");
    let post = Post::begin(folder.path(), &channels).await;
    let fired = Notice { since: wan_collector::clock::now(), ..notice(1, Event::Fired) };
    // It is pushed while the peer may still be starting: that is one of the tries that fail.
    post.push(&[&fired], &["am"]).await;
    post.until("am", "delivered", 1).await;
    let alerts = active().await.unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["labels"]["alertname"], "collector_blind");
    assert_eq!(alerts[0]["labels"]["alert_id"], fired.alert.as_str());
    assert_eq!(alerts[0]["annotations"]["summary"], "[ALERT] Monitoring system: Collector blind");
    // Longer than the time after which it takes a silent alert as resolved.
    tokio::time::sleep(Duration::from_millis(6500)).await;
    assert_eq!(active().await.unwrap().len(), 1, "it is told again that it fires");
    let now = wan_collector::clock::now();
    let resolved = Notice { since: fired.since, until: Some(now), ..notice(1, Event::Resolved) };
    post.push(&[&resolved], &["am"]).await;
    post.until("am", "delivered", 2).await;
    let mut left = active().await.unwrap().len();
    for _ in 0..100 {
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = active().await.unwrap().len();
    }
    assert_eq!(left, 0);
    eventually(|| post.count("am", "resent") > 0).await;
    post.stop().await;
}
