//! The agent's configuration: YAML → typed, once; every mistake of a file at once, with its place and its remedy.
//!
//! A [`Config`] that exists is a valid one: nothing is validated later. `wan-agent.sample.yaml` documents every key and reads
//! as exactly the defaults.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use wan_settings::probes::{
    Form, Layer, bare_host, parse_url, read_interface, read_name, read_path, read_source,
};
pub(crate) use wan_settings::units::show_duration;
use wan_settings::{At, CONFIGURATION_BYTES, Document, Fields, Mistakes, read_file};
use wan_wire::{LinkKind, LinkName};

pub use wan_settings::probes::{
    BODY_LIMIT, DnsConfig, Family, Host, HostPort, HttpConfig, IcmpSocket, LinkConfig, ProbeConfig, Probes,
    RoundConfig, TargetConfig,
};

/// How long a push may take, from connecting to the answer's end, before it counts as failed.
pub const DEFAULT_PUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the configuration is looked for unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/wanwatch/agent.yaml";
/// Folder of the agent's queue, clock memory and central configuration unless configured.
pub const DEFAULT_DATA: &str = "/var/lib/wanwatch-agent";
/// Where the write endpoint is when the collector's URL names no path.
pub const WRITE_PATH: &str = "/api/v1/write";

/// What the agent is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where to push; `None` where nothing is pushed (`wan-agent probe`).
    pub collector: Option<Collector>,
    /// Folder of what outlives the process: queue, clock memory, central configuration. `None`: nothing does
    /// (`wan-agent probe`).
    pub data: Option<PathBuf>,
    /// What is kept while the collector cannot be reached.
    pub queue: QueueConfig,
    /// Whether what the collector says about `round`, `icmp` and `links` goes before what this file says.
    pub central: bool,
    /// How rounds are made, unless a target says otherwise.
    pub round: RoundConfig,
    /// Which kind of ICMP socket to use.
    pub icmp: IcmpSocket,
    /// What to probe. Never empty.
    pub links: Vec<LinkConfig>,
    /// `round`, `icmp` and `links` as the file says them, without defaults: what a central configuration goes on top of.
    pub layer: Layer,
}

/// Where to push, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Collector {
    /// Write endpoints in order of preference. Never empty.
    pub urls: Vec<Endpoint>,
    /// The site's secret.
    pub secret: Secret,
    /// A PEM file of the only authorities to trust for the collector's certificate; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Keys of which the collector's certificate, or one in its chain, must have one; empty: `ca_file` decides.
    pub pins: Vec<Pin>,
    /// Limit of one push.
    pub timeout: Duration,
}

/// A key that is trusted: the SHA-256 of its SubjectPublicKeyInfo (RFC 7469, 2.4), written `sha256:` and base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl std::str::FromStr for Pin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.strip_prefix("sha256:").ok_or(())?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| ())?;
        bytes.try_into().map(Pin).map_err(|_| ())
    }
}

/// What is kept while the collector cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// Bytes of rounds in memory: while pushes succeed, and while the disk cannot be used.
    pub memory: u64,
    /// Bytes of rounds on disk; past it the oldest are dropped.
    pub disk: u64,
    /// Rounds older than this are dropped: the collector would not take them.
    pub max_age: Duration,
    /// How often rounds that wait are synced to the disk: a power cut during an outage costs the rounds of this time at most
    /// (before the outage's first push has failed: those since the last push that succeeded).
    pub sync: Duration,
    /// Target rounds of the backlog that are sent in a second, at most.
    pub backlog_rate: u32,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            memory: 8 << 20,
            disk: 256 << 20,
            max_age: Duration::from_secs(30 * 86_400),
            sync: Duration::from_secs(60),
            backlog_rate: 8_000,
        }
    }
}

/// One write endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The full URL of the remote write receiver.
    pub url: String,
    /// Its host, without brackets: the target of `icmp: collector`.
    pub host: String,
    /// The link by which it is reached: what `wan_agent_path` says of batches that went this way.
    pub path: LinkName,
    /// Push only out of this interface.
    pub interface: Option<String>,
    /// Push only from this address.
    pub source: Option<IpAddr>,
}

/// Where the bearer secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the configuration itself.
    Inline(String),
    /// In a file that is read again whenever it changes.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Inline(_) => f.write_str("Inline(…)"),
            Secret::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let Probes { round, icmp, links } = Probes::default();
        Config {
            collector: None,
            data: None,
            queue: QueueConfig::default(),
            central: true,
            round,
            icmp,
            links,
            layer: Layer::default(),
        }
    }
}

/// Whether a file without a `collector` is a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The agent runs and pushes: it needs a collector.
    Run,
    /// One round of everything, pushed nowhere.
    Probe,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Every mistake in it, or that it cannot be read.
    pub fn load(path: &Path, purpose: Use) -> Result<Config, Mistakes> {
        let bytes = read_file(path, CONFIGURATION_BYTES)?;
        Config::parse(&path.display().to_string(), &bytes, purpose)
    }

    /// The data folder that a file names, or the usual one where it names none, whatever else is wrong with the file.
    ///
    /// # Errors
    /// The file cannot be read, or what it says of the folder cannot.
    pub fn data_of(path: &Path) -> Result<PathBuf, Mistakes> {
        let bytes = read_file(path, CONFIGURATION_BYTES)?;
        let file = path.display().to_string();
        let document = Document::read(&file, &bytes)?;
        let entries = document.root().entries("the agent's configuration");
        let named = entries.into_iter().flatten().find(|(key, _)| *key == "data");
        let folder = match &named {
            Some((_, at)) => read_path(at).unwrap_or_default(),
            None => PathBuf::from(DEFAULT_DATA),
        };
        document.finish(folder)
    }

    /// Puts these probes in the place of the file's own.
    pub fn set_probes(&mut self, probes: Probes) {
        let Probes { round, icmp, links } = probes;
        (self.round, self.icmp, self.links) = (round, icmp, links);
    }

    /// Reads `bytes` as the configuration file called `file`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(file: &str, bytes: &[u8], purpose: Use) -> Result<Config, Mistakes> {
        let document = Document::read(file, bytes)?;
        let config = read(&document.root(), purpose);
        document.finish(config)
    }
}

/// Reads what can be read; what cannot keeps its default and is noted in the document.
fn read(root: &At<'_>, purpose: Use) -> Config {
    let mut config = Config::default();
    let Some(fields) = root.fields(&["collector", "data", "queue", "central", "round", "icmp", "links"])
    else {
        return config;
    };
    let collector = match purpose {
        Use::Run => fields.need_with(
            "collector",
            "a mapping with urls and secret_file",
            "name the collector to push to",
        ),
        Use::Probe => fields.get("collector"),
    };
    config.collector = collector.and_then(|at| read_collector(&at));
    config.data = match purpose {
        Use::Run => Some(
            fields.get("data").and_then(|at| read_path(&at)).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA)),
        ),
        Use::Probe => None,
    };
    if let Some(at) = fields.get("queue") {
        config.queue = read_queue(&at);
    }
    let on_or_off = |text: &str| match text {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    };
    let central = fields.get("central");
    if let Some(central) = central.and_then(|at| at.scalar("on or off", "leave it out for on", on_or_off)) {
        config.central = central;
    }
    config.layer = Layer::read(&fields, Form::Whole);
    config.set_probes(config.layer.resolve().0);
    config
}

fn read_collector(at: &At<'_>) -> Option<Collector> {
    let fields = at.fields(&["urls", "secret", "secret_file", "ca_file", "pins", "timeout"])?;
    let urls = read_urls(&fields);
    let secret = read_secret(&fields);
    let ca_file = fields.get("ca_file").and_then(|at| read_path(&at));
    let timeout = fields
        .get("timeout")
        .and_then(|at| at.duration(Duration::from_millis(100), Duration::from_secs(120)));
    let pins = fields.get("pins").and_then(|at| read_pins(&at)).unwrap_or_default();
    Some(Collector { urls, secret: secret?, ca_file, pins, timeout: timeout.unwrap_or(DEFAULT_PUSH_TIMEOUT) })
}

fn read_pins(at: &At<'_>) -> Option<Vec<Pin>> {
    let expected = "“sha256:” and the 44 characters of a base64 SHA-256";
    let remedy = "copy what “wan-collector certificate” shows";
    let pin = |at: &At<'_>| at.scalar(expected, remedy, |text| text.parse().ok());
    at.items("keys")?.iter().map(pin).collect()
}

fn read_queue(at: &At<'_>) -> QueueConfig {
    let mut queue = QueueConfig::default();
    let Some(fields) = at.fields(&["memory", "disk", "max_age", "sync", "backlog_rate"]) else {
        return queue;
    };
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    if let Some(memory) = fields.get("memory").and_then(|at| at.size(64 << 10, 1 << 30)) {
        queue.memory = memory;
    }
    if let Some(disk) = fields.get("disk").and_then(|at| at.size(4 << 20, 1 << 40)) {
        queue.disk = disk;
    }
    if let Some(max_age) = fields.get("max_age").and_then(|at| at.duration(second * 3600, day * 3650)) {
        queue.max_age = max_age;
    }
    if let Some(sync) = fields.get("sync").and_then(|at| at.duration(second, second * 3600)) {
        queue.sync = sync;
    }
    let rate = fields.get("backlog_rate").and_then(|at| at.whole(1, 1_000_000));
    if let Some(rate) = rate.and_then(|rate| u32::try_from(rate).ok()) {
        queue.backlog_rate = rate;
    }
    queue
}

fn read_urls(fields: &Fields<'_>) -> Vec<Endpoint> {
    let expected = "a list of at least one “- url: …”";
    let remedy = "add the collector's URL";
    let Some(at) = fields.need_with("urls", expected, remedy) else { return Vec::new() };
    let items = at.items("“url: …”").unwrap_or_default();
    if at.is_list() && items.is_empty() {
        at.wrong(expected, remedy);
    }
    let mut urls: Vec<Endpoint> = Vec::new();
    for item in items {
        let Some(entry) = item.fields(&["url", "path", "interface", "source"]) else { continue };
        let path = entry.get("path").and_then(|at| read_name(&at));
        let interface =
            entry.get("interface").and_then(|at| read_interface(&at)).map(|name| name.to_string());
        let source = entry.get("source").and_then(|at| read_source(&at));
        let Some(url) = entry.need_with("url", "an http:// or https:// URL", "write “- url: http://…”")
        else {
            continue;
        };
        let expected = "an http:// or https:// URL with a host, without user, query or fragment";
        let Some(text) = url.text(expected) else { continue };
        match parse_url(text) {
            Some(parsed) => {
                let write = if matches!(parsed.path(), "" | "/") {
                    format!("{}{WRITE_PATH}", text.trim_end_matches('/'))
                } else {
                    text.to_owned()
                };
                if urls.iter().any(|known| known.url == write) {
                    url.wrong("every URL once", "remove the repeated one");
                }
                urls.push(Endpoint {
                    url: write,
                    host: bare_host(&parsed),
                    path: path.unwrap_or_else(|| LinkKind::Wan.into()),
                    interface,
                    source,
                });
            }
            // A password has no place in a log.
            None if text.contains('@') => url.wrong_as(
                "a URL with a user",
                expected,
                "remove what stands before the “@”; the secret is a key of its own",
            ),
            None => url.wrong(expected, "write it as in “http://10.0.0.1:8080”"),
        }
    }
    urls
}

/// What stands there as a secret is not repeated in any message.
fn read_secret(fields: &Fields<'_>) -> Option<Secret> {
    match (fields.has("secret"), fields.has("secret_file")) {
        (true, false) => {
            let expected = "“wan_” and 43 letters, digits, “-” or “_”";
            let remedy = "copy what the collector printed";
            let at = fields.need_with("secret", expected, remedy)?;
            match at.peek().filter(|_| at.is_text()) {
                Some(text) if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) => {
                    Some(Secret::Inline(text.to_owned()))
                }
                Some(_) => {
                    at.wrong_as("a secret with characters that no secret has", expected, remedy);
                    None
                }
                None => {
                    at.wrong_as("what is no text", expected, remedy);
                    None
                }
            }
        }
        (false, true) => {
            let at = fields.need("secret_file", "the path of a file")?;
            read_path(&at).map(Secret::File)
        }
        (false, false) => {
            fields.at().wrong_as(
                "neither secret_file nor secret",
                "one of them",
                "add “secret_file: /etc/wanwatch/secret”",
            );
            None
        }
        (true, true) => {
            let secret = fields.get("secret");
            secret.as_ref().unwrap_or(fields.at()).wrong_as(
                "both secret and secret_file",
                "one of them",
                "keep secret_file: its change is seen without a restart",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../wan-agent.sample.yaml");

    fn parse(text: &str, purpose: Use) -> Result<Config, Mistakes> {
        Config::parse("f", text.as_bytes(), purpose)
    }

    #[test]
    fn the_sample_is_exactly_the_defaults() {
        let sample = parse(SAMPLE, Use::Run).unwrap();
        let collector = Collector {
            urls: vec![Endpoint {
                url: "http://collector.example:8080/api/v1/write".into(),
                host: "collector.example".into(),
                path: LinkKind::Wan.into(),
                interface: None,
                source: None,
            }],
            secret: Secret::File("/etc/wanwatch/secret".into()),
            ca_file: None,
            pins: Vec::new(),
            timeout: DEFAULT_PUSH_TIMEOUT,
        };
        let data = Some(PathBuf::from(DEFAULT_DATA));
        let layer = sample.layer.clone();
        assert_eq!(sample, Config { collector: Some(collector), data, layer, ..Config::default() });
    }

    #[test]
    fn the_samples_commented_links_are_good_too() {
        let (head, examples) = SAMPLE.split_once("every key a link or a target may have:\n").unwrap();
        let examples: String =
            examples.lines().map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line))).collect();
        let config = parse(&format!("{head}\n{examples}"), Use::Run).unwrap();
        let names: Vec<&str> = config.links.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(names, ["lan", "wan", "internet", "wan-vnpt", "service-mail"]);
        let labels: Vec<String> =
            config.links.iter().flat_map(|link| &link.targets).map(|target| target.probe.label()).collect();
        let expected = [
            "gateway",
            "collector",
            "1.1.1.1",
            "8.8.8.8",
            "gateway",
            "10.20.0.1",
            "10.20.0.1:443",
            "https://mail.example/health",
            "mail.example/MX@10.20.0.53",
            "mail.example:25",
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    fn an_empty_file_is_the_defaults_for_probe_and_lacks_a_collector_for_run() {
        assert_eq!(parse("", Use::Probe), Ok(Config::default()));
        assert_eq!(parse("# nothing\n", Use::Probe), Ok(Config::default()));
        let mistakes = parse("", Use::Run).unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            "f:1:1: collector: found nothing, expected a mapping with urls and secret_file; name the collector to push to\n1 mistake"
        );
    }

    #[test]
    fn the_default_links_follow_the_files_round() {
        let config = parse("round: {interval: 10s, packets: 3, timeout: 2s}", Use::Probe).unwrap();
        assert!(config.links.iter().flat_map(|link| &link.targets).all(|target| target.packets == 3));
        // HTTP asks once a round and takes its time, within the interval.
        let text = "round: {interval: 2s}\nlinks: [{name: service, targets: [{http: {url: 'http://a/'}}]}]";
        let target = parse(text, Use::Probe).unwrap().links[0].targets[0].clone();
        assert_eq!((target.packets, target.timeout), (1, Duration::from_secs(2)));
    }

    #[test]
    fn sizes_and_shares_are_read_with_their_units_or_without() {
        let read = |queue: &str, c1: &str| {
            let text = format!(
                "collector: {{urls: [{{url: 'http://a'}}], secret: x}}\nqueue: {{memory: {queue}}}\n\
                 links: [{{name: wan, c1: {c1}, targets: [{{icmp: gateway}}]}}]"
            );
            let config = parse(&text, Use::Run).unwrap();
            (config.queue.memory, config.links[0].rule.c1)
        };
        assert_eq!(read("8MiB", "20%"), (8 << 20, 0.2));
        assert_eq!(read("8388608", "0.2"), (8 << 20, 0.2));
    }

    #[test]
    fn peers_are_read_in_every_form() {
        let peer = |text: &str| {
            let text = format!("links: [{{name: wan, targets: [{{tcp: '{text}'}}]}}]");
            let config = parse(&text, Use::Probe).ok()?;
            let ProbeConfig::Tcp(peer) = &config.links[0].targets[0].probe else { return None };
            Some((peer.host.name.clone(), peer.host.family, peer.port, peer.to_string()))
        };
        let told =
            |name: &str, family, port, shown: &str| Some((name.to_owned(), family, port, shown.to_owned()));
        assert_eq!(peer("10.0.0.1:80"), told("10.0.0.1", Family::V4, 80, "10.0.0.1:80"));
        assert_eq!(peer("[fd00::1]:443"), told("fd00::1", Family::V6, 443, "[fd00::1]:443"));
        assert_eq!(peer("Mail.Example:25"), told("mail.example", Family::V4, 25, "mail.example:25"));
        for bad in
            ["10.0.0.1", "fd00::1:443", "[fd00::1]", "a:0", "a:65536", "a:", ":80", "a b:80", "10.0.0:80"]
        {
            assert_eq!(peer(bad), None, "{bad}");
        }
    }

    /// One file for each rule under `tests/bad-config/`; each of its messages, whole but for the file's name before it, stands
    /// behind `# expect: ` at its end.
    #[test]
    fn every_bad_file_is_answered_with_exactly_its_messages() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-config");
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 30, "only {} files", files.len());
        let mut wrong = String::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            let expected: Vec<String> = text
                .lines()
                .filter_map(|line| line.strip_prefix("# expect: "))
                .map(|message| format!("{name}:{message}"))
                .collect();
            let found: Vec<String> = match Config::parse(name, text.as_bytes(), Use::Run) {
                Ok(_) => vec!["no mistake".into()],
                Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
            };
            if found != expected {
                wrong.push_str(&format!("{}\n", found.join("\n")));
            }
        }
        assert!(wrong.is_empty(), "found instead:\n{wrong}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let text = "collector: {urls: [{url: 'http://a'}], secret: wan_hidden}";
        let config = parse(text, Use::Run).unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
        for secret in ["wan_hidden é", "[wan_hidden]", "{wan_hidden: x}", "\"wan_hidden\\n\""] {
            let text = format!("collector: {{urls: [{{url: 'http://a'}}], secret: {secret}}}");
            let mistakes = parse(&text, Use::Run).unwrap_err();
            assert!(!format!("{mistakes:?}").contains("hidden"), "{mistakes}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z:\\[\\]{}, \\n\"'&*!#0-9-]{0,200}") {
            let _ = parse(&text, Use::Run);
        }

        #[test]
        fn no_damage_to_the_sample_makes_it_fail(from in 0usize..4000, length in 0usize..40) {
            let kept: Vec<char> = SAMPLE.chars().enumerate().filter(|(at, _)| !(from..from + length).contains(at)).map(|(_, c)| c).collect();
            let _ = parse(&kept.into_iter().collect::<String>(), Use::Run);
        }
    }
}
