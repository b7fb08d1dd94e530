//! Who may read, end to end: a collector that is open on loopback and asks on the address that others reach, over TLS, with curl and
//! promtool as they are installed anywhere.

use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wan_tests::browser::Browser;
use wan_tests::clock::eventually;
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::Namespace;
use wan_tests::process;
use wan_tests::scene::Scene;
use wan_tests::sender::{self, Connection};

const PATIENCE: Duration = Duration::from_secs(60);
const SITE: &str = "xa-hung-thuan";
const ADDRESS: &str = "10.79.0.2";
const OPEN: &str = "http://127.0.0.1:8080";
const ASKS: &str = "https://10.79.0.2:8443";
const PASSWORD: &str = "một hai ba bốn năm";

struct Office {
    scene: Scene,
    space: Namespace,
    collector: Collector,
}

struct Said {
    status: u16,
    head: String,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next_back()
    }
}

impl Office {
    fn prepare() -> Result<Self> {
        let scene = Scene::new("access")?;
        let space = Namespace::alone("access")?;
        space.ip(&["addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"])?;
        let listen = format!("{ADDRESS}:8443");
        let address = listen.parse().context("an address")?;
        let collector = Collector::prepare(&scene, address, "", &[Site::commune(SITE)], &[SITE])?
            .inside(&space)
            .reached_at("127.0.0.1:8080".parse().context("an address")?);
        let office = Self { scene, space, collector };
        office.configure(|text| {
            text.replace(&format!("\"{listen}\""), &format!("[\"127.0.0.1:8080\", \"{listen}\"]"))
        })?;
        Ok(office)
    }

    fn configure(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let path = self.collector.config();
        let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
        std::fs::write(path, change(&text)).with_context(|| path.to_owned())
    }

    fn curl(&self, arguments: &[&str]) -> Result<Said> {
        let jar = self.scene.path("cookies");
        let head = self.scene.path("head");
        let mut command = self.space.command("curl");
        command.args(["--silent", "--show-error", "--insecure", "--max-time", "30"]);
        command.args(["--cookie", &jar, "--cookie-jar", &jar, "--dump-header", &head]).args(arguments);
        let out = command.output().context("curl")?;
        let head = std::fs::read_to_string(&head).unwrap_or_default();
        let last = head.lines().rfind(|line| line.starts_with("HTTP/"));
        let status = last.and_then(|line| line.split_whitespace().nth(1)).and_then(|code| code.parse().ok());
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        let status = status.with_context(|| format!("curl {arguments:?}: no answer: {error}"))?;
        Ok(Said { status, head, body: String::from_utf8_lossy(&out.stdout).into_owned() })
    }

    /// As `--data` of a form: nothing of it is on a command line that others see, but this is a test.
    fn login(&self, user: &str, password: &str) -> Result<Said> {
        let (user, password) = (format!("name={user}"), format!("password={password}"));
        let fields = ["--data-urlencode", &user, "--data-urlencode", &password, "--data", "next=/sites/a"];
        self.curl(&[&fields[..], &[&format!("{ASKS}/login")]].concat())
    }

    fn status(&self, url: &str, more: &[&str]) -> Result<u16> {
        Ok(self.curl(&[more, &[url]].concat())?.status)
    }

    fn restart(&mut self) -> Result<()> {
        self.collector.stop()?;
        self.collector.start()
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<()> {
    ensure!(found == expected, "{what}: {found:?} instead of {expected:?}");
    Ok(())
}

#[test]
fn on_an_address_that_others_reach_everybody_proves_who_they_are() -> Result<()> {
    let mut office = Office::prepare()?;
    refuses_to_start_before_anybody_could_log_in(&office)?;
    office.collector.start()?;
    loopback_is_open_and_the_other_address_asks(&office)?;
    a_login_opens_the_page_and_outlives_a_restart(&mut office)?;
    a_scraper_reads_by_its_token(&office)?;
    a_new_password_ends_the_logins(&office)?;
    a_guesser_waits_and_the_right_password_gets_in_after_the_wait(&office)?;
    hostile_logins_are_refused(&office)?;
    wrong_secrets_of_agents_are_limited_and_good_ones_are_not(&office)?;

    let metrics = office.curl(&[&format!("{OPEN}/metrics")])?.body;
    for result in ["accepted", "refused", "limited", "malformed"] {
        let line = format!("wan_collector_logins_total{{result=\"{result}\"}}");
        ensure!(metrics.contains(&line), "no {line} in /metrics");
    }
    // Last, since they start the collector anew, and with it the counters.
    a_person_logs_in_and_out_with_a_browser(&office, "https")?;
    office.configure(|text| format!("{text}\ntls: off\n"))?;
    office.restart()?;
    a_person_logs_in_and_out_with_a_browser(&office, "http")?;
    office.configure(|text| text.replace("\ntls: off\n", "\n"))?;
    a_login_that_is_not_used_ends(&mut office)?;
    office.collector.stop()?;
    let log = office.collector.log();
    ensure!(!log.contains("panicked"), "the collector panicked:\n{log}");
    for secret in [PASSWORD, "wanr_", "wans_", "argon2"] {
        ensure!(!log.contains(secret), "{secret:?} is in the log");
    }
    office.scene.passed();
    Ok(())
}

fn refuses_to_start_before_anybody_could_log_in(office: &Office) -> Result<()> {
    office.collector.command(&["tokens", "revoke"], &["tests"])?;
    let program = process::binary("wan-collector")?;
    let mut command = office.space.command("timeout");
    let serve = command.arg("30").arg(program).args(["serve", "--config", office.collector.config()]);
    let out: Output = serve.output().context("serve")?;
    expect("exit code", out.status.code(), Some(1))?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let with = |command: &str| format!("`wan-collector {command} --config {}`", office.collector.config());
    for word in [ADDRESS, &with("users add NAME --role operator"), &with("tokens add NAME")] {
        ensure!(said.contains(word), "no {word:?} in:\n{said}");
    }
    let file = office.scene.write("password", &format!("{PASSWORD}\n"))?;
    office.collector.command(&["users", "add"], &["binh", "--role", "operator", "--password-file", &file])?;
    Ok(())
}

fn loopback_is_open_and_the_other_address_asks(office: &Office) -> Result<()> {
    for path in ["/", "/metrics", "/api/v1/overview", "/healthz"] {
        expect(&format!("{path} on loopback"), office.status(&format!("{OPEN}{path}"), &[])?, 200)?;
    }
    let page = office.curl(&[&format!("{ASKS}/sites/{SITE}?lang=en")])?;
    expect("the page", page.status, 303)?;
    let login = format!("/login?next=%2Fsites%2F{SITE}%3Flang%3Den&lang=en");
    expect("where to", page.header("location"), Some(login.as_str()))?;
    for (path, status) in [("/metrics", 401), ("/api/v1/overview", 401), ("/healthz", 200), ("/login", 200)] {
        expect(path, office.status(&format!("{ASKS}{path}"), &[])?, status)?;
    }
    let refused = office.curl(&[&format!("{ASKS}/metrics")])?;
    expect("challenge", refused.header("www-authenticate"), Some("Bearer realm=\"wanwatch\""))
}

fn a_login_opens_the_page_and_outlives_a_restart(office: &mut Office) -> Result<()> {
    let planted = format!("__Host-wanwatch=wans_{}", "A".repeat(43));
    let form = [
        "--data-urlencode",
        &format!("password={PASSWORD}"),
        "--data",
        "name=binh",
        "--header",
        &format!("Cookie: {planted}"),
    ];
    let login = office.curl(&[&form[..], &[&format!("{ASKS}/login")]].concat())?;
    expect("login", login.status, 303)?;
    let cookie = login.header("set-cookie").context("no cookie")?.to_owned();
    for word in ["__Host-wanwatch=wans_", "HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        ensure!(cookie.contains(word), "no {word} in {cookie}");
    }
    ensure!(!cookie.contains(&planted), "the planted session was taken over");
    let page = office.curl(&[&format!("{ASKS}/")])?;
    expect("page", page.status, 200)?;
    ensure!(
        page.body.contains("data-user=\"binh\" data-role=\"operator\""),
        "the page does not say who it is"
    );
    office.restart()?;
    expect("after a restart", office.status(&format!("{ASKS}/api/v1/overview"), &[])?, 200)?;
    expect("logout", office.status(&format!("{ASKS}/logout"), &["--request", "POST"])?, 303)?;
    expect("after the logout", office.status(&format!("{ASKS}/api/v1/overview"), &[])?, 401)
}

fn a_scraper_reads_by_its_token(office: &Office) -> Result<()> {
    let token = office.collector.command(&["tokens", "add"], &["prometheus", "--ttl", "1d"])?;
    let token = token.trim();
    let bearer = format!("Authorization: Bearer {token}");
    let metrics = office.curl(&["--header", &bearer, &format!("{ASKS}/metrics")])?;
    expect("bearer", metrics.status, 200)?;
    let mut promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool")?;
    promtool.stdin.take().context("its input")?.write_all(metrics.body.as_bytes()).context("write")?;
    let checked = promtool.wait_with_output().context("promtool")?;
    ensure!(checked.status.success(), "promtool: {}", String::from_utf8_lossy(&checked.stderr));

    let basic = format!("prometheus:{token}");
    expect("basic", office.status(&format!("{ASKS}/metrics"), &["--user", &basic])?, 200)?;
    expect("a viewer", office.status(&format!("{ASKS}/api/v1/agents"), &["--header", &bearer])?, 403)?;
    let mistyped = format!("{bearer}x");
    expect("mistyped", office.status(&format!("{ASKS}/metrics"), &["--header", &mistyped])?, 401)?;
    office.collector.command(&["tokens", "revoke"], &["prometheus"])?;
    eventually("the revoked token is refused", PATIENCE, || {
        expect("revoked", office.status(&format!("{ASKS}/metrics"), &["--header", &bearer])?, 401)
    })
}

fn a_new_password_ends_the_logins(office: &Office) -> Result<()> {
    expect("login", office.login("binh", PASSWORD)?.status, 303)?;
    expect("logged in", office.status(&format!("{ASKS}/"), &[])?, 200)?;
    let file = office.scene.path("password");
    office.collector.command(&["users", "passwd"], &["binh", "--password-file", &file])?;
    expect("after passwd", office.status(&format!("{ASKS}/"), &[])?, 303)
}

fn a_guesser_waits_and_the_right_password_gets_in_after_the_wait(office: &Office) -> Result<()> {
    let limited = eventually("the guesser is limited", Duration::from_secs(180), || {
        let said = office.login("binh", "đoán mò")?;
        ensure!(said.status == 429, "{}", said.status);
        // So long that the next attempt is within it on any machine.
        let wait: u64 = said.header("retry-after").context("no Retry-After")?.parse()?;
        ensure!(wait >= 16, "Retry-After {wait}");
        Ok(wait)
    })?;
    ensure!(limited <= 60, "Retry-After {limited}");
    let early = office.login("binh", PASSWORD)?;
    ensure!(early.status == 429, "the right password within the wait: {}", early.status);
    std::thread::sleep(Duration::from_secs(limited));
    expect("the right password after the wait", office.login("binh", PASSWORD)?.status, 303)
}

/// A browser says from where a form was sent, and says less on a plain line: both must do.
fn a_person_logs_in_and_out_with_a_browser(office: &Office, scheme: &str) -> Result<()> {
    let mut browser = Browser::open_inside(&office.scene, &office.space, 1000, 800)?;
    let page = format!("{scheme}://{ADDRESS}:8443/sites/{SITE}");
    let at_login = |browser: &mut Browser, why: &str| {
        eventually(why, PATIENCE, || {
            ensure!(browser.count("#login")? == 1, "{}", browser.text("body")?);
            Ok(())
        })
    };
    browser.go(&page)?;
    at_login(&mut browser, "who is not known is led to the login")?;
    browser.fill("[name=name]", "binh")?;
    browser.fill("[name=password]", PASSWORD)?;
    browser.click("#login button")?;
    eventually("the login leads back to the page", PATIENCE, || {
        ensure!(browser.count("#account[data-user=binh]")? == 1, "{scheme}: {}", browser.text("body")?);
        ensure!(browser.script("return location.href")? == page, "another page");
        Ok(())
    })?;
    browser.click("#account button")?;
    at_login(&mut browser, "the logout leads to the login")?;
    browser.go(&page)?;
    at_login(&mut browser, "who has logged out is not known any more")
}

fn hostile_logins_are_refused(office: &Office) -> Result<()> {
    let huge = office.scene.write("huge", &format!("name=binh&password={}", "x".repeat(100_000)))?;
    let huge = format!("@{huge}");
    expect("huge", office.status(&format!("{ASKS}/login"), &["--data-binary", &huge])?, 413)?;
    let json = ["--header", "Content-Type: application/json", "--data", "{}"];
    expect("JSON", office.status(&format!("{ASKS}/login"), &json)?, 415)?;
    let elsewhere = ["--header", "Origin: https://evil.example", "--data", "name=binh"];
    expect("another site's form", office.status(&format!("{ASKS}/login"), &elsewhere)?, 403)?;
    let away =
        ["--data-urlencode", &format!("password={PASSWORD}"), "--data", "name=binh&next=//evil.example"];
    let said = office.curl(&[&away[..], &[&format!("{ASKS}/login")]].concat())?;
    expect("an open redirect", said.header("location"), Some("/"))
}

fn wrong_secrets_of_agents_are_limited_and_good_ones_are_not(office: &Office) -> Result<()> {
    let push = |bearer: &str| {
        office.space.within(|| {
            let address = "127.0.0.1:8080".parse().context("an address")?;
            let mut connection = Connection::open(address, PATIENCE)?;
            connection.post("/api/v1/write", &sender::push_headers(bearer), b"not snappy")
        })
    };
    let wrong = format!("Bearer wan_{}", "A".repeat(43));
    let limited = (0..100).find_map(|_| match push(&wrong) {
        Ok(said) if said.status == 401 => None,
        other => Some(other),
    });
    let limited = limited.context("a hundred wrong secrets, and none was limited")??;
    expect("wrong secrets", limited.status, 429)?;
    ensure!(limited.header("retry-after").is_some(), "no Retry-After: {}", limited.head);
    let good = push(&office.collector.bearer(SITE)?)?;
    ensure!(good.status == 400, "a good secret from the same address: {}: {}", good.status, good.body);
    Ok(())
}

fn a_login_that_is_not_used_ends(office: &mut Office) -> Result<()> {
    office.configure(|text| format!("{text}\naccess: {{idle_limit: 15s}}\n"))?;
    office.restart()?;
    expect("login", office.login("binh", PASSWORD)?.status, 303)?;
    expect("at once", office.status(&format!("{ASKS}/"), &[])?, 200)?;
    std::thread::sleep(Duration::from_secs(16));
    expect("later", office.status(&format!("{ASKS}/"), &[])?, 303)?;
    office.collector.command(&["users", "disable"], &["binh"])?;
    expect("a disabled user", office.login("binh", PASSWORD)?.status, 401)
}
