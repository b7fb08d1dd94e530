//! Real agents and a real collector over TLS: who is trusted, who is not, and certificates that change while both run.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{self, Collector, Site};
use wan_tests::netns::{CENTRE_V4, Province};
use wan_tests::process::{Process, tail};
use wan_tests::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(60);
const SITE: &str = "xa-hung-thuan";

struct Office {
    scene: Scene,
    province: Province,
    collector: Collector,
    agents: u32,
}

impl Office {
    /// A collector that is open on loopback and speaks TLS at its address in the province; not started.
    fn prepare(name: &str, tls: &str) -> Result<Self> {
        let scene = Scene::new(name)?;
        let province = Province::build(1)?;
        let listen = format!("{CENTRE_V4}:8443").parse().context("an address")?;
        let collector = Collector::prepare(&scene, listen, tls, &[Site::commune(SITE)], &[SITE])?
            .inside(province.centre()?);
        let mut office = Self { scene, province, collector, agents: 0 };
        office.configure(|text| {
            let own = format!("listen: \"{CENTRE_V4}:8443\"");
            text.replace(&own, &format!("listen: [\"127.0.0.1:8080\", \"{CENTRE_V4}:8443\"]"))
        })?;
        office.collector = office.collector.reached_at("127.0.0.1:8080".parse().context("an address")?);
        Ok(office)
    }

    fn configure(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let path = self.collector.config();
        let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
        std::fs::write(path, change(&text)).with_context(|| path.to_owned())
    }

    /// Starts the site's agent anew on the same data, with further keys of `collector`.
    fn agent(&mut self, trust: &str) -> Result<Process> {
        self.agents += 1;
        let rest = format!(
            "  timeout: 3s\n{trust}central: off\nround: {{interval: 1s, packets: 2, timeout: 500ms}}\n\
             links: [{{name: wan, targets: [{{icmp: {CENTRE_V4}}}]}}]\n"
        );
        let secret = self.collector.secret(SITE)?.to_owned();
        let space = self.province.site(1)?;
        let url = format!("https://{CENTRE_V4}:8443");
        let file = self.scene.dir().join(format!("agent-{SITE}.log"));
        // Each start has a log of its own.
        if file.exists() {
            std::fs::rename(&file, self.scene.dir().join(format!("agent-{}.log", self.agents)))?;
        }
        collector::start_agent(&self.scene, SITE, Some(space), &url, &secret, &rest)
    }

    /// Waits until the agent's log has every word.
    fn says(&self, agent: &mut Process, words: &[&str]) -> Result<()> {
        eventually("the agent says why", PATIENCE, || {
            agent.check_running()?;
            let log = agent.log();
            for word in words {
                ensure!(log.contains(word), "no “{word}” in the agent's log:\n{}", tail(&log, 20));
            }
            Ok(())
        })
    }

    /// Waits until the collector has heard of the link for some seconds from now on.
    fn delivers(&self, agent: &mut Process) -> Result<()> {
        let asked = clock::unix_millis();
        eventually("pushes arrive", PATIENCE, || {
            agent.check_running()?;
            let up = self.up(asked, clock::unix_millis())?;
            ensure!(up >= 3000, "up for {up} ms since {asked}; the agent:\n{}", tail(&agent.log(), 20));
            Ok(())
        })
    }

    /// For how long the collector knows the link as up within a window, in milliseconds.
    fn up(&self, from: i64, to: i64) -> Result<i64> {
        let rows = self.collector.api().timeline(SITE, "wan", from, to)?;
        Ok(rows.iter().filter(|row| row.state == "up").map(|row| row.end - row.start).sum())
    }

    fn collector_says(&self, words: &str) -> Result<()> {
        eventually("the collector says so", PATIENCE, || {
            let log = self.collector.log();
            ensure!(log.contains(words), "no “{words}” in the collector's log:\n{}", tail(&log, 20));
            Ok(())
        })
    }

    fn shown(&self, what: &str) -> Result<String> {
        let printed = self.collector.command(&["certificate"], &[])?;
        let line = printed.lines().find_map(|line| line.strip_prefix(what)).map(str::trim);
        let first = line.and_then(|line| line.split_whitespace().next());
        Ok(first.with_context(|| format!("no {what} in:\n{printed}"))?.to_owned())
    }

    fn finish(mut self) -> Result<()> {
        self.collector.stop()?;
        ensure!(!self.collector.log().contains("panicked"), "the collector panicked");
        self.scene.passed();
        Ok(())
    }
}

#[test]
fn an_agent_pushes_only_to_the_collector_whose_key_it_pins_and_loses_nothing_until_then() -> Result<()> {
    let mut office = Office::prepare("tls-own", "ingest: {silence_limit: 3s}\n")?;
    office.collector.start()?;
    let pin = office.shown("pin")?;

    let mut without = office.agent("")?;
    office.says(&mut without, &["enrol again", "collector.pins", &pin, "wan-collector certificate"])?;
    let begin = clock::unix_millis();
    std::thread::sleep(Duration::from_secs(5));
    let stopped = clock::unix_millis();
    without.stop()?;

    let other = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let mut wrong = office.agent(&format!("  pins: [\"{other}\"]\n"))?;
    let pause = clock::unix_millis() - stopped;
    let answers = format!("another collector answers at {CENTRE_V4}:8443");
    office.says(&mut wrong, &[&answers, &pin])?;
    let end = clock::unix_millis();
    wrong.stop()?;
    let pushed = office.collector.api().uptime(SITE, "wan", begin, end)?;
    ensure!(pushed.is_none_or(|uptime| uptime.up_ms == 0), "something was pushed");

    let mut right = office.agent(&format!("  pins: [\"{other}\", \"{pin}\"]\n"))?;
    eventually("what was kept is delivered", PATIENCE, || {
        right.check_running()?;
        let (up, all) = (office.up(begin, end)?, end - begin);
        // Between two agents nobody probes, and each loses the round that it was in and the one that it began in.
        let least = all - pause - 4000;
        ensure!(
            up >= least,
            "up for {up} ms of {all}, {pause} between; the agent:\n{}",
            tail(&right.log(), 20)
        );
        Ok(())
    })?;

    // An operator's SIGHUP is answered, and does not end it.
    office.collector.signal(Signal::SIGHUP)?;
    office.collector_says("the certificate is as it was")?;

    // Another address of the collector is a new name, so a new certificate; the pin is the authority's.
    let key = office.shown("own key")?;
    office.collector.stop()?;
    office.configure(|text| format!("{text}urls: [{{url: 'https://wan.example.vn'}}]\n"))?;
    office.collector.start()?;
    ensure!(
        office.shown("own key")? != key && office.shown("pin")? == pin,
        "a new certificate under the same pin"
    );
    office.delivers(&mut right)?;
    right.stop()?;

    // A plain request to the TLS port is told so.
    let answer = office.collector.api().within(|| {
        let server = format!("{CENTRE_V4}:8443").parse().context("an address")?;
        wan_tests::sender::Connection::open(server, Duration::from_secs(10))?.get("/")
    })?;
    ensure!(answer.status == 503 && answer.body.contains("https://"), "{answer:?}");
    let metrics = office.collector.api().get("/metrics")?.body;
    ensure!(
        metrics.contains("\nwan_collector_certificate_expiry_timestamp_seconds "),
        "no expiry in /metrics"
    );
    office.finish()
}

/// An authority that signs certificates for the collector's address.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate until the end of a year, and its key.
    fn sign(&self, year: i32) -> Result<(String, String)> {
        self.sign_until(|params| params.not_after = date_time_ymd(year, 12, 31))
    }

    /// A certificate that ends so many days from now, and its key.
    fn sign_for(&self, days: u64) -> Result<(String, String)> {
        let end = u64::try_from(clock::unix_millis())? / 1000 + days * 86_400;
        self.sign_until(|params| params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end))
    }

    fn sign_until(&self, end: impl FnOnce(&mut CertificateParams)) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![CENTRE_V4.to_owned()])?;
        params.not_before = date_time_ymd(2020, 1, 1);
        end(&mut params);
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

/// Puts a certificate and its key in the place of the former ones.
fn put(scene: &Scene, (chain, key): &(String, String)) -> Result<()> {
    for (name, text) in [("chain.pem", chain), ("key.pem", key)] {
        let new = scene.write("new", text)?;
        std::fs::rename(new, scene.dir().join(name))?;
    }
    Ok(())
}

#[test]
fn the_end_of_a_systems_certificate_is_told_and_is_over_when_it_is_renewed() -> Result<()> {
    let given =
        "tls: {certificate: chain.pem, key: key.pem}\nalerts: {rules: {certificate_expiring: {keep: 1s}}}\n";
    let mut office = Office::prepare("tls-ends", given)?;
    let authority = Authority::new("province")?;
    put(&office.scene, &authority.sign_for(10)?)?;
    office.collector.start()?;
    // The system whose certificate is watched is the collector itself: it has one, and answers.
    let url = format!("https://{CENTRE_V4}:8443");
    let ca = office.scene.write("province.pem", &authority.pem)?;
    let rest = format!(
        "  timeout: 3s\n  ca_file: {ca}\ncentral: off\nround: {{interval: 1s, packets: 1, timeout: 500ms}}\n\
         links: [{{name: service-dms, targets: [{{http: {{url: \"{url}/healthz\", ca_file: {ca}}}}}]}}]\n"
    );
    let secret = office.collector.secret(SITE)?.to_owned();
    let mut agent =
        collector::start_agent(&office.scene, SITE, Some(office.province.site(1)?), &url, &secret, &rest)?;
    let target = |office: &Office, agent: &mut Process| -> Result<Option<serde_json::Value>> {
        agent.check_running()?;
        let alerts = office.collector.api().json("/api/v1/alerts?lang=en")?;
        let all = alerts["alerts"].as_array().context("no alerts")?;
        Ok(all
            .iter()
            .find(|alert| alert["subject"].as_str().is_some_and(|subject| subject.starts_with("target/")))
            .cloned())
    };
    let told = eventually("the agent's word becomes an alert", PATIENCE, || {
        target(&office, &mut agent)?.context("nothing is told of the target")
    })?;
    ensure!(told["rule"] == "certificate_expiring", "{told}");
    ensure!(told["about"] == format!("{url}/healthz"), "{told}");
    ensure!(told["site"].is_null(), "it is of no site: {told}");

    put(&office.scene, &authority.sign_for(90)?)?;
    office.collector_says("a new certificate is in use")?;
    eventually("it is over", PATIENCE, || {
        let still = target(&office, &mut agent)?;
        ensure!(still.is_none(), "{still:?}");
        Ok(())
    })?;
    agent.stop()?;
    office.finish()
}

#[test]
fn a_given_certificate_is_replaced_while_both_run_and_a_bad_one_is_not_taken() -> Result<()> {
    let mut office = Office::prepare(
        "tls-given",
        "ingest: {silence_limit: 3s}\ntls: {certificate: chain.pem, key: key.pem}\n",
    )?;
    let (first, second) = (Authority::new("first")?, Authority::new("second")?);
    let trust = |scene: &Scene, authority: &Authority, name: &str| -> Result<String> {
        Ok(format!("  ca_file: {}\n", scene.write(name, &authority.pem)?))
    };
    put(&office.scene, &first.sign(2090)?)?;
    office.collector.start()?;
    let by_first = trust(&office.scene, &first, "first.pem")?;
    let mut agent = office.agent(&by_first)?;
    office.delivers(&mut agent)?;

    // Another authority's: the connection that stands goes on, whoever comes anew meets the new one.
    let good = second.sign(2091)?;
    put(&office.scene, &good)?;
    office.collector_says("a new certificate is in use")?;
    office.delivers(&mut agent)?;
    ensure!(!agent.log().contains("is not signed by"), "{}", agent.log());
    agent.stop()?;
    let mut stranger = office.agent(&by_first)?;
    office.says(&mut stranger, &["is not signed by an authority in ", "first.pem"])?;
    stranger.stop()?;

    // Bad ones: the key of another, then one that has ended.
    let (_, other) = second.sign(2092)?;
    put(&office.scene, &(good.0.clone(), other))?;
    office.collector_says("is not the key of the first certificate in")?;
    put(&office.scene, &second.sign(2024)?)?;
    office.collector_says("it ended at 2024-12-31")?;
    let by_second = trust(&office.scene, &second, "second.pem")?;
    let mut agent = office.agent(&by_second)?;
    office.delivers(&mut agent)?;
    agent.stop()?;

    // A collector that starts with one that has ended says so, and agents refuse it.
    office.collector.stop()?;
    office.collector.start()?;
    office.collector_says("the certificate has ended")?;
    let mut agent = office.agent(&by_second)?;
    office.says(&mut agent, &["ended at 2024-12-31", "have it renewed at the collector"])?;
    put(&office.scene, &good)?;
    office.delivers(&mut agent)?;
    agent.stop()?;
    office.finish()
}
