use std::os::unix::fs::PermissionsExt as _;

use wan_wire::secret::write;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::config::{Config, Secret as ConfiguredSecret, Use};
use crate::secret::Secret;

/// A machine with folders of its own, and a collector.
struct Machine {
    folder: tempfile::TempDir,
    collector: MockServer,
}

impl Machine {
    async fn new() -> Machine {
        Machine { folder: tempfile::tempdir().unwrap(), collector: MockServer::start().await }
    }

    async fn answers(&self, answer: ResponseTemplate) {
        self.collector.reset().await;
        Mock::given(method("POST"))
            .and(path("/api/v1/enrol"))
            .respond_with(answer)
            .mount(&self.collector)
            .await;
    }

    fn line(&self) -> Line {
        Line {
            urls: vec![self.collector.uri()],
            token: token(),
            pins: Vec::new(),
            config: self.path("etc/agent.yaml"),
            data: self.path("data"),
            force: false,
            no_start: true,
            insecure_http: false,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    async fn requests(&self) -> Vec<EnrolRequest> {
        let requests = self.collector.received_requests().await.unwrap();
        requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    /// The names of all files, in order.
    fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["etc", "data"] {
            let Ok(entries) = std::fs::read_dir(self.path(folder)) else { continue };
            names.extend(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
        }
        names.sort();
        names
    }
}

fn token() -> String {
    write(TOKEN_PREFIX, &[7; 32])
}

fn good() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(serde_json::json!({
        "site": "ubnd-xa-tan-binh",
        "name": "Ủy ban nhân dân xã Tân Bình",
        "urls": [{"url": "https://wan.example.vn", "path": "internet"}],
        "pins": ["sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="],
    }))
}

fn refusal(status: u16, reason: &str) -> ResponseTemplate {
    let body = ApiRefusal { reason: reason.into(), en: "wait 1 s".into(), vi: "chờ 1 giây".into() };
    ResponseTemplate::new(status).set_body_json(body).insert_header("retry-after", "1")
}

#[tokio::test]
async fn a_line_becomes_a_secret_and_a_configuration_that_the_agent_takes() {
    let machine = Machine::new().await;
    machine.answers(good()).await;
    let ended = run(machine.line()).await;
    assert_eq!(ended.code, exit::DONE, "{ended:?}");
    for text in [&ended.said.en, &ended.said.vi] {
        assert!(text.contains("Ủy ban nhân dân xã Tân Bình (ubnd-xa-tan-binh)"), "{text}");
    }
    assert!(ended.said.en.starts_with("Done:") && ended.said.vi.starts_with("Xong:"), "{ended:?}");

    assert_eq!(machine.files(), ["agent.yaml", "secret", "site"]);
    let secret = Secret::kept(&machine.path("data/secret")).unwrap();
    let mode = |name: &str| std::fs::metadata(machine.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data/secret"), mode("data"), mode("etc/agent.yaml")), (0o600, 0o700, 0o644));
    let [request] = machine.requests().await.try_into().ok().unwrap();
    assert_eq!((request.token, request.secret_sha256), (token(), secret.sha256()));
    assert!(!machine.read("etc/agent.yaml").contains("wan_"));

    let config = Config::load(&machine.path("etc/agent.yaml"), Use::Run).unwrap();
    let collector = config.collector.unwrap();
    let urls: Vec<(&str, &str)> =
        collector.urls.iter().map(|url| (url.url.as_str(), url.path.as_str())).collect();
    let own = format!("{}/api/v1/write", machine.collector.uri());
    assert_eq!(urls, [(own.as_str(), "wan"), ("https://wan.example.vn/api/v1/write", "internet")]);
    assert_eq!(collector.secret, ConfiguredSecret::File(machine.path("data/secret")));
    assert_eq!(config.data, Some(machine.path("data")));
    assert_eq!(collector.pins, [], "none were given: the system's authorities decide");
}

#[tokio::test]
async fn the_same_line_again_after_a_lost_answer_brings_the_same_secret() {
    let machine = Machine::new().await;
    machine
        .answers(ResponseTemplate::new(200).set_body_string("<html>no answer of a collector</html>"))
        .await;
    let ended = run(machine.line()).await;
    assert_eq!(ended.code, exit::UNREACHABLE);
    assert!(
        ended.said.en.contains("no Wanwatch collector") && ended.said.vi.contains("dây mạng"),
        "{ended:?}"
    );
    assert_eq!(machine.files(), ["enrolment"]);
    let [first] = machine.requests().await.try_into().ok().unwrap();

    machine.answers(good()).await;
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    let [second] = machine.requests().await.try_into().ok().unwrap();
    assert_eq!(first.secret_sha256, second.secret_sha256);
    assert_eq!(machine.files(), ["agent.yaml", "secret", "site"]);
}

#[tokio::test]
async fn a_crash_between_the_files_is_mended_by_the_same_line() {
    let machine = Machine::new().await;
    machine.answers(good()).await;
    let place = place::Place::open(&machine.line().config, &machine.line().data).unwrap();
    let secret = place.begin(&token(), false).unwrap();
    // The secret was put in place, the configuration was not.
    secret.keep(&machine.path("data/secret")).unwrap();
    std::fs::write(machine.path("etc/agent.yaml.new"), "half").unwrap();
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    assert_eq!(Secret::kept(&machine.path("data/secret")), Some(secret));
    assert!(Config::load(&machine.path("etc/agent.yaml"), Use::Run).is_ok());
    assert!(!machine.path("etc/agent.yaml.new").exists());
}

#[tokio::test]
async fn a_machine_that_is_enrolled_is_left_alone_unless_forced_and_its_files_are_kept() {
    let machine = Machine::new().await;
    machine.answers(good()).await;
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    let (config, secret) = (machine.read("etc/agent.yaml"), machine.read("data/secret"));
    let other = Line { token: write(TOKEN_PREFIX, &[8; 32]), ..machine.line() };
    let ended = run(other.clone()).await;
    assert_eq!(ended.code, exit::USAGE);
    assert!(ended.said.en.contains("--force") && ended.said.vi.contains("--force"), "{ended:?}");
    assert_eq!(machine.requests().await.len(), 1, "the token was not used");
    assert_eq!(
        (machine.read("etc/agent.yaml"), machine.read("data/secret")),
        (config.clone(), secret.clone())
    );

    let forced = Line { force: true, ..other };
    let ended = run(forced.clone()).await;
    assert_eq!(ended.code, exit::DONE, "{ended:?}");
    assert!(ended.said.en.contains("secret.old"), "{ended:?}");
    assert_eq!(
        (machine.read("etc/agent.yaml.old"), machine.read("data/secret.old")),
        (config, secret.clone())
    );
    assert_ne!(machine.read("data/secret"), secret);
    assert_eq!(run(Line { token: write(TOKEN_PREFIX, &[9; 32]), ..forced }).await.code, exit::DONE);
    assert_eq!(
        machine.files(),
        ["agent.yaml", "agent.yaml.old", "agent.yaml.old-2", "secret", "secret.old", "secret.old-2", "site"]
    );
}

#[tokio::test]
async fn a_file_without_a_collector_is_no_enrolment_and_one_with_mistakes_is() {
    let machine = Machine::new().await;
    machine.answers(good()).await;
    std::fs::create_dir(machine.path("etc")).unwrap();
    std::fs::write(machine.path("etc/agent.yaml"), "collector: [").unwrap();
    assert_eq!(run(machine.line()).await.code, exit::USAGE);
    std::fs::write(machine.path("etc/agent.yaml"), "round: {packets: 3}\n").unwrap();
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    assert_eq!(machine.read("etc/agent.yaml.old"), "round: {packets: 3}\n");
}

#[tokio::test]
async fn a_refusal_leaves_nothing_and_says_the_collectors_words() {
    let machine = Machine::new().await;
    machine.answers(refusal(403, "used")).await;
    let ended = run(machine.line()).await;
    assert_eq!(
        ended,
        Ended {
            code: exit::REFUSED,
            said: Said {
                en: "The collector refused: wait 1 s".into(),
                vi: "Máy thu thập từ chối: chờ 1 giây".into()
            }
        }
    );
    assert_eq!(machine.files(), [] as [String; 0]);
}

#[tokio::test]
async fn a_refusal_that_does_not_end_the_token_leaves_the_secret_that_it_may_have_been_used_for() {
    let machine = Machine::new().await;
    machine.answers(ResponseTemplate::new(502)).await;
    assert_eq!(run(machine.line()).await.code, exit::UNREACHABLE, "the answer is lost");
    let [first] = machine.requests().await.try_into().ok().unwrap();
    for (status, reason) in [(429, "limited"), (408, "malformed"), (403, "unknown")] {
        machine.answers(refusal(status, reason)).await;
        assert_eq!(run(machine.line()).await.code, exit::REFUSED, "{reason}");
        assert_eq!(machine.files(), ["enrolment"], "{reason}");
    }
    machine.answers(good()).await;
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    let [last] = machine.requests().await.try_into().ok().unwrap();
    assert_eq!(last.secret_sha256, first.secret_sha256);
}

/// A queue with a round in it, and a document of the collector.
fn measured(machine: &Machine) {
    std::fs::create_dir(machine.path("data/queue")).unwrap();
    std::fs::write(machine.path("data/queue/lock"), "").unwrap();
    std::fs::write(machine.path("data/queue/0.segment"), "rounds").unwrap();
    std::fs::write(machine.path("data/central.yaml"), "a document").unwrap();
    std::fs::write(machine.path("data/secret.next"), "half-way").unwrap();
}

fn forced(machine: &Machine, token: u8) -> Line {
    Line { token: write(TOKEN_PREFIX, &[token; 32]), force: true, ..machine.line() }
}

fn of_site(site: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(serde_json::json!({"site": site, "name": "A (b) c"}))
}

#[tokio::test]
async fn what_was_measured_as_one_site_is_never_delivered_as_another() {
    let machine = Machine::new().await;
    machine.answers(of_site("a")).await;
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    measured(&machine);

    // The same site: its backlog stays, and only that.
    assert_eq!(run(forced(&machine, 1)).await.code, exit::DONE);
    assert_eq!(machine.read("data/queue/0.segment"), "rounds");
    assert_eq!(machine.read("data/central.yaml.old"), "a document");
    assert!(!machine.path("data/central.yaml").exists(), "an old document is not probed by");
    assert!(!machine.path("data/secret.next").exists(), "its rotation ended");

    // One that was enrolled before the file was written: the configuration tells.
    std::fs::remove_file(machine.path("data/site")).unwrap();
    assert_eq!(run(forced(&machine, 2)).await.code, exit::DONE);
    assert_eq!(machine.read("data/queue/0.segment"), "rounds");
    std::fs::remove_file(machine.path("data/site")).unwrap();

    machine.answers(of_site("b")).await;
    let ended = run(forced(&machine, 3)).await;
    assert_eq!(ended.code, exit::DONE, "{ended:?}");
    assert!(
        ended.said.en.contains("data/queue.old") && ended.said.vi.contains("data/queue.old"),
        "{ended:?}"
    );
    assert!(!machine.path("data/queue").exists());
    assert_eq!(machine.read("data/queue.old/0.segment"), "rounds");
    assert_eq!(machine.read("data/site"), "b\n");

    // A crash in the middle: it is not known whose rounds they are.
    std::fs::create_dir(machine.path("data/queue")).unwrap();
    std::fs::write(machine.path("data/site"), "").unwrap();
    assert_eq!(run(forced(&machine, 4)).await.code, exit::DONE);
    assert!(machine.path("data/queue.old-2").exists());
}

#[tokio::test]
async fn an_agent_that_runs_as_the_former_site_is_to_be_stopped_first() {
    let machine = Machine::new().await;
    machine.answers(of_site("a")).await;
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    measured(&machine);
    let before = (machine.read("etc/agent.yaml"), machine.read("data/secret"));
    let running = std::fs::File::options().write(true).open(machine.path("data/queue/lock")).unwrap();
    running.lock().unwrap();

    machine.answers(of_site("b")).await;
    let line = forced(&machine, 1);
    let ended = run(line.clone()).await;
    assert_eq!(ended.code, exit::USAGE, "{ended:?}");
    assert!(ended.said.en.contains("Stop it") && ended.said.vi.contains("dừng agent"), "{ended:?}");
    assert_eq!((machine.read("etc/agent.yaml"), machine.read("data/secret")), before);
    let [first] = machine.requests().await.try_into().ok().unwrap();

    drop(running);
    assert_eq!(run(line).await.code, exit::DONE);
    assert_eq!(machine.requests().await[1].secret_sha256, first.secret_sha256, "the token is not used up");
    assert_eq!(machine.read("data/site"), "b\n");
}

#[test]
fn a_folder_has_its_mode_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("etc");
    // No umask leaves others the right to write.
    place::make_folder(&made, 0o757, None).unwrap();
    assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o757);
}

#[tokio::test]
async fn a_collector_that_asks_for_patience_is_waited_for() {
    let machine = Machine::new().await;
    machine.collector.reset().await;
    let limited = std::sync::atomic::AtomicBool::new(true);
    let answer = move |_: &Request| {
        if limited.swap(false, std::sync::atomic::Ordering::SeqCst) {
            refusal(429, "limited")
        } else {
            good()
        }
    };
    Mock::given(method("POST")).respond_with(answer).mount(&machine.collector).await;
    assert_eq!(run(machine.line()).await.code, exit::DONE);
    assert_eq!(machine.requests().await.len(), 2);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let machine = Machine::new().await;
    machine.answers(good()).await;
    // Taken, so that nobody else listens on it.
    let unheard = tokio::net::TcpSocket::new_v4().unwrap();
    unheard.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = unheard.local_addr().unwrap();
    let dead = format!("http://{nobody}=internet");
    let line = Line { urls: vec![dead.clone(), machine.collector.uri()], ..machine.line() };
    assert_eq!(run(line).await.code, exit::DONE);
    let written = machine.read("etc/agent.yaml");
    assert!(written.contains(&format!("- url: \"http://{nobody}\"\n      path: internet\n")), "{written}");

    let other = Machine::new().await;
    let ended = run(Line { urls: vec![dead], ..other.line() }).await;
    assert_eq!(ended.code, exit::UNREACHABLE);
    assert!(
        ended.said.en.contains(&nobody.to_string()) && ended.said.en.contains("token is still good"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_said_before_the_token_is_used() {
    let machine = Machine::new().await;
    machine.answers(good()).await;
    std::fs::write(machine.path("etc"), "a file in the way").unwrap();
    let ended = run(machine.line()).await;
    assert_eq!(ended.code, exit::USAGE);
    assert!(ended.said.en.contains("cannot write"), "{ended:?}");
    assert!(machine.requests().await.is_empty());
}

#[test]
fn a_line_that_is_torn_or_unsafe_is_refused_before_anything_is_done() {
    let line = |url: &str, token: &str, pin: Option<&str>| Line {
        urls: vec![url.to_owned()],
        token: token.to_owned(),
        pins: pin.into_iter().map(str::to_owned).collect(),
        config: PathBuf::new(),
        data: PathBuf::new(),
        force: false,
        no_start: true,
        insecure_http: false,
    };
    let token = token();
    let secret = write(SECRET_PREFIX, &[7; 32]);
    let pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let wrong = [
        (line("https://a", &token[..20], None), "copy the whole line"),
        (line("https://a", &secret, None), "not an enrolment token (wane_…)"),
        (line("https://a", &token, Some("sha256:short")), "--pin sha256:short"),
        (line("10.0.0.1", &token, None), "expected the collector's address"),
        (line("https://user:x@a", &token, None), "expected the collector's address"),
        (line("http://10.0.0.1:8080", &token, None), "--insecure-http"),
        (line("http://collector", &token, None), "--insecure-http"),
    ];
    for (line, words) in wrong {
        let said = check(&line).unwrap_err();
        assert!(said.en.contains(words), "{said:?}");
        assert!(!said.en.contains(&line.token) && !said.vi.contains(&line.token), "{said:?}");
    }
    for url in [
        "https://10.0.0.1:8443",
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost:1",
        "https://a=wan-vnpt",
    ] {
        assert!(check(&line(url, &token, Some(pin))).is_ok(), "{url}");
    }
    let insecure = Line { insecure_http: true, ..line("http://10.0.0.1", &token, None) };
    let url = PathUrl { url: "http://10.0.0.1".into(), path: "wan".into() };
    assert_eq!(check(&insecure), Ok(Checked { urls: vec![url], pins: Vec::new() }));
}

#[test]
fn what_a_collector_says_cannot_break_the_file_or_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let place =
        place::Place::open(&folder.path().join("agent.yaml"), &folder.path().join("da\"ta: x")).unwrap();
    let answer = EnrolAnswer {
        site: "a".parse().unwrap(),
        name: "evil\ncollector: {urls: []}\x1b[2J".into(),
        urls: vec![
            PathUrl { url: "https://b\n  evil: 1".into(), path: "wan".into() },
            PathUrl { url: "https://b".into(), path: "no link".into() },
            PathUrl { url: "file:///etc/passwd".into(), path: "wan".into() },
            PathUrl { url: "http://10.0.0.1".into(), path: "wan".into() },
            PathUrl { url: "https://c/prefix".into(), path: "internet-ftth".into() },
        ],
        pins: vec!["x\n- y".into()],
    };
    let urls = vec![PathUrl { url: "https://a".into(), path: "wan".into() }];
    let known = Known::of(&answer, urls, &[], false);
    assert_eq!(known.name, "evilcollector: {urls: []}[2J");
    place.finish(&Secret::generate().unwrap(), &known).unwrap();
    let config = Config::load(&folder.path().join("agent.yaml"), Use::Run).unwrap();
    let urls: Vec<String> = config.collector.unwrap().urls.into_iter().map(|url| url.url).collect();
    assert_eq!(urls, ["https://a/api/v1/write", "https://c/prefix/api/v1/write"]);
}

#[test]
fn every_answer_means_something() {
    let wait = Some(Duration::from_secs(700));
    let answer =
        |status: u16, body: &str| Answer { status, body: body.into(), retry_after: wait, exchange: None };
    let told = r#"{"reason": "x", "en": "try again in 700 s", "vi": "y"}"#;
    let refusal: ApiRefusal = serde_json::from_str(told).unwrap();
    assert_eq!(judge(answer(403, told)), Judged::Refused(refusal.clone()));
    assert_eq!(judge(answer(400, told)), Judged::Refused(refusal.clone()));
    assert_eq!(judge(answer(429, told)), Judged::Wait(LONGEST_WAIT, refusal));
    for (status, body) in [
        (200, ""),
        (200, "{}"),
        (200, r#"{"site": "NO SITE", "name": ""}"#),
        (204, ""),
        (302, ""),
        (404, "not found"),
        (429, "slow down"),
        (500, told),
        (502, "<html>"),
    ] {
        assert!(matches!(judge(answer(status, body)), Judged::Other(_)), "{status} {body}");
    }
}
