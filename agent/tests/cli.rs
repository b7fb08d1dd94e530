//! The program as its users meet it.
// The lints that tests are free of are only free inside `#[test]`, not in their helpers; time here is the test's own patience.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use wan_wire::{Decoder, Limits, Metric, Protocol, Scratch, decompress};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Where a running agent's log goes.
    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }
}

fn agent() -> Command {
    let mut command = Command::cargo_bin("wan-agent").unwrap();
    command.env_remove("RUST_LOG");
    command
}

fn program() -> PathBuf {
    assert_cmd::cargo::cargo_bin("wan-agent")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn version_and_help_say_what_it_is_and_what_its_exit_codes_mean() {
    let version = text(&agent().arg("--version").assert().success().get_output().stdout);
    assert_eq!(version, format!("wan-agent {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&agent().arg("--help").assert().success().get_output().stdout);
    for word in ["run", "probe", "status", "check-config", "--log"] {
        assert!(help.contains(word), "{help}");
    }
    let help = text(&agent().args(["probe", "--help"]).assert().success().get_output().stdout);
    assert!(
        help.contains("1 some link is degraded or down") && help.contains("3 the instrument failed"),
        "{help}"
    );
    agent().assert().code(2);
    agent().arg("fly").assert().code(2);
    agent().args(["probe", "--log", "a=b=c"]).assert().code(2);
}

#[test]
fn status_says_when_no_agent_runs() {
    let folder = tempfile::tempdir().unwrap();
    for data in [folder.path().to_owned(), folder.path().join("none")] {
        let found = agent().arg("status").arg("--data").arg(&data).assert().code(3);
        let err = text(&found.get_output().stderr);
        assert!(err.contains(&format!("no agent runs with the data folder {}", data.display())), "{err}");
    }
    // The folder of a file that is otherwise mistaken is the one that is asked.
    let file = folder.path().join("agent.yaml");
    let data = folder.path().join("here");
    std::fs::write(&file, format!("data: {}\nlinsk: []\n", data.display())).unwrap();
    let found = agent().arg("status").arg("--config").arg(&file).assert().code(3);
    let err = text(&found.get_output().stderr);
    assert_eq!(err.trim().lines().count(), 1, "{err}");
    assert!(err.contains(&format!("no agent runs with the data folder {}", data.display())), "{err}");
    // Of one that names none, it is said what is asked instead.
    let none = folder.path().join("none.yaml");
    for (file, why) in [(&none, "no readable file"), (&data, "expected the path of a file")] {
        if file == &data {
            std::fs::write(&data, "data: ''\n").unwrap();
        }
        let found = agent().arg("status").arg("--config").arg(file).assert();
        let err = text(&found.get_output().stderr);
        assert!(err.contains(why), "{err}");
        assert!(err.contains("asking the agent with the data folder /var/lib/wanwatch-agent"), "{err}");
    }
    // Who reads no further, as `head`, is no mistake.
    let (answer, socket) = (folder.path().join("answer"), folder.path().join("socket"));
    std::fs::create_dir(&socket).unwrap();
    let status = serde_json::json!({
        "version": "0", "pid": 1, "started": 0, "now": 0, "site": null, "collector": [],
        "clock": {"anchored": false, "offset_ms": null, "bound_ms": null},
        "queue": wan_agent::status::QueueStatus::default(), "config": wan_agent::status::ConfigStatus::default(), "links": [],
    });
    std::fs::write(&answer, status.to_string()).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(socket.join("status.sock")).unwrap();
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut std::fs::File::open(answer).unwrap(), &mut stream).unwrap();
    });
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended =
        Process::new(program()).arg("status").arg("--data").arg(&socket).stdout(writer).output().unwrap();
    serve.join().unwrap();
    assert_eq!((ended.status.code(), text(&ended.stderr).as_str()), (Some(1), ""));
    let help = text(&agent().args(["status", "--help"]).assert().success().get_output().stdout);
    assert!(help.contains("3 no agent runs") && help.contains("--json"), "{help}");
}

#[test]
fn check_config_accepts_the_sample_and_lists_every_mistake_with_its_place() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("wan-agent.sample.yaml");
    let out = agent().arg("check-config").arg(&sample).assert().success().get_output().stdout.clone();
    assert!(
        text(&out).ends_with("wan-agent.sample.yaml: no mistakes; 3 links, 4 targets\n"),
        "{}",
        text(&out)
    );

    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-config/several.yaml");
    let err = text(&agent().arg("check-config").arg(&bad).assert().code(2).get_output().stderr);
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!((lines.len(), lines.last()), (4, Some(&"3 mistakes")), "{err}");
    assert!(lines[1].contains("several.yaml:2:18: round.packets: found 0, expected "), "{err}");

    let json = agent()
        .args(["check-config", "--format", "json"])
        .arg(&bad)
        .assert()
        .code(2)
        .get_output()
        .stdout
        .clone();
    let mistakes: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&mistakes[1]["line"], &mistakes[1]["key"]), (&2.into(), &"round.packets".into()));

    let err = text(&agent().args(["check-config", "/nowhere.yaml"]).assert().code(2).get_output().stderr);
    assert!(err.contains("/nowhere.yaml: found no readable file (No such file"), "{err}");
}

#[test]
fn run_refuses_a_file_without_a_collector() {
    let folder = Folder::new();
    let config = folder.file("a.yaml", "round: {interval: 1s}\n");
    let err = text(&agent().args(["run", "--config"]).arg(config).assert().code(2).get_output().stderr);
    assert!(err.contains(":1:1: collector: found nothing"), "{err}");
}

fn probe(targets: &str) -> (i32, String) {
    let folder = Folder::new();
    let links = format!("round: {{interval: 1s, timeout: 1s}}\nlinks:\n{targets}");
    let output = agent().args(["probe", "--config"]).arg(folder.file("a.yaml", &links)).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    (output.status.code().unwrap(), text(&output.stdout))
}

#[test]
fn probe_shows_a_table_and_its_exit_code_tells_the_outcome() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap();
    // Taken, so that nobody else listens on it.
    let unheard = tokio::net::TcpSocket::new_v4().unwrap();
    unheard.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = unheard.local_addr().unwrap();

    let up = format!("- {{name: lan, targets: [{{tcp: '{closed}'}}, {{tcp: '{open}'}}]}}\n");
    let (code, table) = probe(&up);
    assert_eq!(code, 0, "{table}");
    let row = table.lines().find(|line| line.contains(&open.to_string())).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(&cells[1..8], ["lan", "tcp", &open.to_string(), "up", "5", "5", "0"], "{table}");
    assert!(
        table.contains("refused") && table.contains("lan: up"),
        "a link is up when any target is: {table}"
    );

    let down = format!("{up}- {{name: wan, targets: [{{tcp: '{closed}'}}]}}\n");
    let (code, table) = probe(&down);
    assert_eq!(code, 1, "{table}");
    assert!(table.contains("wan: down"), "{table}");

    let fault = format!("{down}- {{name: internet, interface: nosuch0, targets: [{{tcp: '{open}'}}]}}\n");
    let (code, table) = probe(&fault);
    assert_eq!(code, 3, "{table}");
    assert!(
        table.contains("interface nosuch0 does not exist") && table.contains("internet: fault"),
        "{table}"
    );

    let slow = format!("- {{name: lan, rtt_limit: 1ms, targets: [{{http: {{url: 'http://{open}/'}}}}]}}\n");
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.incoming().find_map(|stream| with_request(stream.unwrap())).unwrap();
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let (code, table) = probe(&slow);
    served.join().unwrap();
    assert_eq!(code, 1, "{table}");
    assert!(table.contains("lan: degraded"), "{table}");
}

/// A connection on which a request came; the TCP probes of before left some that were reset.
fn with_request(mut stream: TcpStream) -> Option<(TcpStream, usize)> {
    match stream.read(&mut [0; 4096]) {
        Ok(length) if length > 0 => Some((stream, length)),
        Ok(_) | Err(_) => None,
    }
}

/// Runs `wan-agent probe` in a network namespace of its own, with this `ping_group_range`. Needs root, and fails without it.
fn probe_in_namespace(range: &str, yaml: &str) -> Output {
    let folder = Folder::new();
    let config = folder.file("a.yaml", yaml);
    let script = format!(
        "ip link set lo up && echo '{range}' > /proc/sys/net/ipv4/ping_group_range && exec {} --log info probe --config {}",
        program().display(),
        config.display()
    );
    let output = Process::new("unshare").args(["--net", "sh", "-ec", &script]).output().unwrap();
    assert!(!text(&output.stderr).contains("unshare"), "this test needs root: {}", text(&output.stderr));
    output
}

#[test]
fn both_kinds_of_icmp_socket_work_in_both_families_and_the_kind_used_is_logged() {
    let yaml = |socket: &str| {
        format!(
            "round: {{interval: 1s}}\nicmp: {{socket: {socket}}}\n\
             links: [{{name: lan, targets: [{{icmp: 127.0.0.1}}, {{icmp: '::1'}}]}}]\n"
        )
    };
    for (socket, range, used) in [
        ("datagram", "0 2147483647", "datagram"),
        ("raw", "0 2147483647", "raw"),
        ("auto", "0 2147483647", "datagram"),
        ("auto", "1 0", "raw"),
    ] {
        let output = probe_in_namespace(range, &yaml(socket));
        let (table, log) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{socket}: {table}{log}");
        assert_eq!(
            table.lines().filter(|line| line.contains(" up ") && line.contains(" 5 ")).count(),
            2,
            "{table}"
        );
        assert_eq!(log.matches(&format!("socket=\"{used}\"")).count(), 2, "{log}");
    }
    let output = probe_in_namespace("1 0", &yaml("datagram"));
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("ping_group_range does not allow it"), "{}", text(&output.stdout));
}

#[test]
fn no_route_and_an_interface_that_is_down_are_outages_and_not_faults() {
    // Loopback is up and has no default route; `off0` exists but is down.
    let folder = Folder::new();
    let yaml = "round: {interval: 1s, timeout: 300ms}\nlinks:\n\
                - {name: wan, targets: [{icmp: 192.0.2.1}, {tcp: '192.0.2.1:80'}, {dns: {server: 192.0.2.1, name: a.b}}, {http: {url: 'http://192.0.2.1:80/'}}]}\n\
                - {name: internet, interface: off0, targets: [{icmp: 192.0.2.1}, {tcp: '192.0.2.1:80'}, {icmp: '2001:db8::1'}]}\n";
    let config = folder.file("a.yaml", yaml);
    let script = format!(
        "ip link set lo up && ip link add off0 type veth peer name off1 && exec {} probe --config {}",
        program().display(),
        config.display()
    );
    let output = Process::new("unshare").args(["--net", "sh", "-ec", &script]).output().unwrap();
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}{}", text(&output.stderr));
    assert!(table.contains("wan: down") && table.contains("internet: down"), "{table}");
    assert_eq!(table.matches("no route").count(), 7, "{table}");
}

/// A collector that answers in a given way, and hands each push's rounds on: (end, interval).
struct Sink {
    url: String,
    requests: mpsc::Receiver<Vec<(i64, i64)>>,
}

impl Sink {
    /// Has no central configuration; the first `hang` pushes are never answered, the others with 204. It tells the time once: told
    /// again, a busy machine would have the agent correct its own by some milliseconds, and with it a round.
    fn start(hang: usize) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (send, requests) = mpsc::channel();
        let (seen, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, send) = (stream.unwrap(), send.clone());
                let (seen, told) = (Arc::clone(&seen), Arc::clone(&told));
                thread::spawn(move || Sink::serve(stream, &send, &seen, &told, hang));
            }
        });
        Sink { url, requests }
    }

    fn serve(
        mut stream: TcpStream,
        send: &mpsc::Sender<Vec<(i64, i64)>>,
        seen: &AtomicUsize,
        told: &AtomicBool,
        hang: usize,
    ) -> Option<()> {
        loop {
            let pushed = request(&mut stream)?;
            let head = match &pushed {
                None => "404 Not Found\r\ncontent-length: 0",
                Some(_) if seen.fetch_add(1, Ordering::SeqCst) < hang => {
                    thread::sleep(Duration::from_secs(60));
                    return None;
                }
                Some(body) => {
                    let _ = send.send(rounds(body));
                    "204 No Content\r\nx-prometheus-remote-write-samples-written: 1"
                }
            };
            let time = match told.swap(true, Ordering::SeqCst) {
                false => {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                    format!("\r\nwan-time: {}", now.as_millis())
                }
                true => String::new(),
            };
            stream.write_all(format!("HTTP/1.1 {head}{time}\r\n\r\n").as_bytes()).ok()?;
        }
    }
}

/// The next request: `Some(body)` of a push, `Some(None)` of a question; `None` when the connection ended.
fn request(stream: &mut TcpStream) -> Option<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) else {
        return Some(None);
    };
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Some(body))
}

/// (end, interval in milliseconds) of each round of the first target.
fn rounds(body: &[u8]) -> Vec<(i64, i64)> {
    let (limits, mut plain) = (Limits::default(), Vec::new());
    decompress(body, &limits, &mut plain).unwrap();
    let mut scratch = Scratch::default();
    let mut decoder = Decoder::new(Protocol::V2, &plain, &mut scratch, &limits).unwrap();
    let mut rounds = Vec::new();
    while let Some(series) = decoder.next_series().unwrap() {
        let name = Metric::RoundIntervalSeconds.as_str().as_bytes();
        if series.key.unwrap().windows(name.len()).any(|window| window == name) {
            rounds.extend(series.samples.iter().map(|sample| {
                #[allow(clippy::cast_possible_truncation)]
                let interval = (sample.value * 1000.0).round() as i64;
                (sample.time.0, interval)
            }));
        }
    }
    rounds
}

fn start(folder: &Folder, url: &str) -> Running {
    let data = folder.0.path().join("data");
    let yaml = format!(
        "collector: {{urls: [{{url: '{url}'}}], secret: wan_x, timeout: 2s}}\n\
         data: {}\n\
         round: {{interval: 1s, timeout: 200ms}}\n\
         links: [{{name: lan, targets: [{{tcp: '127.0.0.1:1'}}]}}]\n",
        data.display()
    );
    let config = folder.file("a.yaml", &yaml);
    let log = fs::File::options().create(true).append(true).open(folder.log()).unwrap();
    let mut command = Process::new(program());
    Running(
        command.env_remove("RUST_LOG").arg("run").arg("--config").arg(config).stderr(log).spawn().unwrap(),
    )
}

/// Runs a scenario whose rounds must touch. An agent that the host kept from running skips a round, as it should, and says so in
/// its log; then nothing is proved, and the scenario runs again, at most three times in all.
fn rounds_touch(scenario: impl Fn(&Folder) -> Vec<(i64, i64)>) {
    for attempt in 1.. {
        let folder = Folder::new();
        let all = scenario(&folder);
        let log = fs::read_to_string(folder.log()).unwrap();
        if attempt < 3 && log.contains("the host kept the agent from running") {
            continue;
        }
        for pair in all.windows(2) {
            assert_eq!(pair[1].0 - pair[1].1, pair[0].0, "rounds touch to the millisecond: {all:?}\n{log}");
        }
        let whole = &all[1..all.len() - 1];
        assert!(whole.iter().all(|(_, interval)| (990..=1010).contains(interval)), "{all:?}");
        return;
    }
}

/// A running agent; killed when the test ends before it was told to end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn terminate(mut running: Running) {
    let child = &mut running.0;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let began = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(30), "stopped after {:?}", began.elapsed());
}

#[test]
fn rounds_are_pushed_as_they_end_touch_each_other_and_the_last_one_is_pushed_on_sigterm() {
    rounds_touch(|folder| {
        let sink = Sink::start(0);
        let child = start(folder, &sink.url);
        let mut all = Vec::new();
        for pushed in 1.. {
            all.extend(sink.requests.recv_timeout(Duration::from_secs(60)).unwrap());
            // In the midst of a round: not where this process was kept from running meanwhile.
            let heard = Instant::now();
            thread::sleep(Duration::from_millis(600));
            if pushed >= 4 && heard.elapsed() < Duration::from_millis(800) {
                break;
            }
        }
        terminate(child);
        // It has ended, so all that it pushed is here.
        let mut last = Vec::new();
        while let Ok(pushed) = sink.requests.try_recv() {
            last.clone_from(&pushed);
            all.extend(pushed);
        }
        assert!(last.last().is_some_and(|(_, interval)| *interval < 1000), "the round under way: {last:?}");
        all
    });
}

#[test]
fn a_collector_that_hangs_moves_no_round_and_costs_none() {
    rounds_touch(|folder| {
        let sink = Sink::start(2);
        let child = start(folder, &sink.url);
        let mut all = Vec::new();
        while all.len() < 8 {
            all.extend(sink.requests.recv_timeout(Duration::from_secs(60)).unwrap());
        }
        terminate(child);
        while let Ok(rounds) = sink.requests.try_recv() {
            all.extend(rounds);
        }
        all.sort_unstable();
        all.dedup();
        all
    });
}
