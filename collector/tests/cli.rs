//! The command line as an administrator meets it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const PROVINCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/tayninh-sites.csv");

/// A folder with a configuration, and the program.
struct Office {
    folder: TempDir,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("collector.yaml"), "data: data\nlisten: 127.0.0.1:18080\n")
            .unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wan-collector"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("collector.yaml"))
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::from(self.command(arguments).output().unwrap())
    }

    fn sites(&self) -> usize {
        let listed = self.run(&["sites", "list", "--format", "json"]);
        if listed.err.contains("no database yet") {
            return 0;
        }
        serde_json::from_str::<Vec<serde_json::Value>>(&listed.ok().out).unwrap().len()
    }
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self
    }

    /// What a command says on standard error that does what it was asked.
    #[track_caller]
    fn warned(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.err
    }

    #[track_caller]
    fn failed(self, with: &str) -> Self {
        assert_eq!(self.code, 1, "{}{}", self.out, self.err);
        assert!(self.err.contains(with), "{with}\n{}", self.err);
        self
    }
}

#[test]
fn the_sample_province_is_checked_imported_and_listed() {
    let office = Office::new();
    let said = office.run(&["sites", "check", PROVINCE]).ok();
    assert!(said.out.contains("355 sites, no mistakes"), "{}", said.out);
    assert!(!office.path("data").exists(), "a check writes nothing");

    let said = office.run(&["sites", "import", PROVINCE, "--dry-run"]).ok();
    assert!(said.out.ends_with(
        "355 added, 0 changed, 0 unchanged, 0 closed, 0 taken out\ndry run: nothing was written\n"
    ));
    assert!(!office.path("data").exists(), "a dry run writes nothing");

    office.run(&["sites", "import", PROVINCE]).ok();
    assert_eq!(office.sites(), 355);
    let said = office.run(&["sites", "import", PROVINCE]).ok();
    assert!(said.out.starts_with("0 added, 0 changed, 355 unchanged"), "{}", said.out);

    let listed = office.run(&["sites", "list", "--tier", "commune", "--branch", "party"]).ok();
    assert!(
        listed.out.contains("Đảng ủy xã Hảo Đước") && listed.out.ends_with("94 sites\n"),
        "{}",
        listed.out
    );
    for format in ["csv", "yaml"] {
        let written = office.run(&["sites", "list", "--format", format]).ok();
        let file = office.file(&format!("again.{format}"), &written.out);
        let said = office.run(&["sites", "import", file.to_str().unwrap(), "--replace"]).ok();
        assert!(said.out.starts_with("0 added, 0 changed, 355 unchanged, 0 closed"), "{}", said.out);
    }
    office
        .run(&["sites", "list", "--tier", "xa"])
        .failed("there is no tier \"xa\"; the plan has province, district, commune");
}

#[test]
fn a_contract_without_terms_is_a_warning_at_import_and_at_config_check() {
    let office = Office::new();
    office.file("collector.yaml", "data: data\ncontracts: [{id: HD-01, kind: wan, uptime: 99.5%}]\n");
    office.file(
        "s.csv",
        "id,name,tier,branch,links,wan.contract\na,A,commune,state,wan,HD-01\nb,B,commune,state,wan,HD-1\n",
    );
    let warning = "warning: s.csv:3: wan.contract of “b”: found the unknown contract “HD-1”, expected the id of a contract in the \
        configuration; did you mean HD-01?";
    for command in [&["sites", "check", "s.csv"][..], &["sites", "import", "s.csv"]] {
        assert!(office.run(command).warned().contains(warning), "{command:?}");
    }
    let said = office.run(&["config", "check"]).warned();
    assert!(
        said.contains("collector.yaml: contracts: links of the register name “HD-1” (1 of them)"),
        "{said}"
    );
    office.file("s.csv", "id,name,tier,branch,links,wan.contract\nb,B,commune,state,wan,HD-01\n");
    office.run(&["sites", "import", "s.csv"]).ok();
    office.run(&["config", "check"]).ok();
}

#[test]
fn every_mistake_of_every_file_is_listed_and_nothing_is_imported() {
    let office = Office::new();
    office.file("good.csv", "id,name,tier,branch\na,A,commune,state\n");
    office.file("bad.csv", "id,name,tier,branch\nb,B,comune,state\nc,,commune,state\n");
    office.file("worse.yaml", "sites:\n- {id: d, name: D, tier: commune, branch: state, parent: nobody}\n");
    for command in ["check", "import"] {
        let said =
            office.run(&["sites", command, "good.csv", "bad.csv", "worse.yaml", "none.csv", "odd.doc"]);
        let lines: Vec<&str> = said.err.lines().collect();
        assert_eq!((said.code, lines.len()), (1, 6), "{}", said.err);
        assert!(lines[0].starts_with("bad.csv:2: tier of “b”: found “comune”"), "{}", lines[0]);
        assert!(lines[1].starts_with("bad.csv:3: name of “c”: found nothing"), "{}", lines[1]);
        assert!(lines[2].starts_with("none.csv: found no readable file"), "{}", lines[2]);
        assert!(lines[3].starts_with("odd.doc: found a name that does not tell the format"), "{}", lines[3]);
        assert!(
            lines[4].starts_with("worse.yaml:2:58: parent of “d”: found the unknown site “nobody”"),
            "{}",
            lines[4]
        );
        assert_eq!(lines[5], "5 mistakes");
        assert!(!office.path("data").exists(), "nothing is written");
    }
}

#[test]
fn an_import_shows_what_changes_and_replace_closes_the_rest() {
    let office = Office::new();
    office.file("one.csv", "id,name,tier,branch\na,A,commune,state\nb,B,commune,state\n");
    office.file("two.csv", "id,name,tier,branch,wan.router\na,Á,commune,state,10.0.0.1\n");
    office.run(&["sites", "import", "one.csv"]).ok();
    let said = office.run(&["sites", "import", "two.csv"]).ok();
    let expected = "~ a  Á\n    name: A → Á\n    links:  → wan router=10.0.0.1\n0 added, 1 changed, 0 unchanged, 0 closed, 0 taken out\n";
    assert!(said.out.starts_with(expected), "{}", said.out);
    let said = office.run(&["sites", "import", "two.csv", "--replace"]).ok();
    assert!(said.out.starts_with("- b  B (closed on 20"), "{}", said.out);
    assert_eq!(office.sites(), 2, "a closed site stays in the register");
    let said = office.run(&["sites", "import", "two.csv", "--replace"]).ok();
    assert!(said.out.starts_with("0 added, 0 changed, 1 unchanged, 0 closed"), "{}", said.out);
}

#[test]
fn a_secret_is_shown_once_and_stored_as_a_hash() {
    let office = Office::new();
    office.run(&["agents", "issue", "a"]).failed("there is no database yet; import a register");
    office.file("s.csv", "id,name,tier,branch\nxa-a,A,commune,state\nxa-b,B,commune,state\n");
    office.run(&["sites", "import", "s.csv"]).ok();

    let said = office.run(&["agents", "issue", "xa-a"]).ok();
    let secret = said.out.lines().find_map(|line| line.strip_prefix("  secret: ")).unwrap();
    assert_eq!((secret.len(), &secret[..4]), (47, "wan_"));
    assert!(
        said.out.contains("collector:\n  urls:\n    - url: http://127.0.0.1:18080\n  secret: "),
        "{}",
        said.out
    );
    for entry in std::fs::read_dir(office.path("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "the secret is on the disk"
        );
    }

    office.run(&["agents", "issue", "xa-a"]).failed("xa-a has a secret, issued 20");
    office
        .run(&["agents", "issue", "xa-c"])
        .failed("there is no site \"xa-c\" in the register; did you mean xa-");
    assert_ne!(office.run(&["agents", "issue", "xa-a", "--rotate"]).ok().out, said.out);
    let listed = office.run(&["agents", "list"]).ok().out;
    assert!(listed.contains("1 of 2 sites have a secret"), "{listed}");

    assert_eq!(
        office.run(&["agents", "revoke", "xa-a", "xa-b"]).ok().out,
        "the secret of xa-a is revoked\nxa-b has no secret: nothing to revoke\n"
    );
    let listed = office.run(&["agents", "list", "--format", "csv"]).ok().out;
    assert!(listed.contains("\nxa-a,A,revoked,20"), "{listed}");
}

#[test]
fn secrets_for_all_go_to_a_new_private_file() {
    let office = Office::new();
    office.file("s.csv", "id,name,tier,branch,valid_to\na,A,commune,state,\nb,B,district,state,\nc,C,commune,party,2020-01-01\n");
    office.run(&["sites", "import", "s.csv"]).ok();
    office.run(&["agents", "issue", "a"]).ok();
    office
        .run(&["agents", "issue", "--all"])
        .failed("1 of these 2 sites have a secret; --missing leaves them out");

    let said = office.run(&["agents", "issue", "--all", "--missing", "--output", "secrets.csv"]).ok();
    assert_eq!(said.out, "1 secrets written to secrets.csv\n");
    let written = std::fs::read_to_string(office.path("secrets.csv")).unwrap();
    assert!(written.starts_with("site,name,secret\nb,B,wan_") && written.lines().count() == 2, "{written}");
    let mode = std::fs::metadata(office.path("secrets.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    office
        .run(&["agents", "issue", "--all", "--rotate", "--output", "secrets.csv"])
        .failed("one that exists is not overwritten");
    assert_eq!(std::fs::read_to_string(office.path("secrets.csv")).unwrap(), written);
    let said = office.run(&["agents", "issue", "--all", "--missing"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "nothing is left to issue: {}", said.err);
    let said = office.run(&["agents", "issue", "--all", "--rotate", "--tier", "district"]).ok();
    assert_eq!(said.out.lines().count(), 2);
}

#[test]
fn enrolling_a_site_prints_one_line_to_paste() {
    let office = Office::new();
    office.run(&["enroll", "a"]).failed("there is no database yet; import a register");
    office.file("s.csv", "id,name,tier,branch,valid_to\nxa-a,Xã A,commune,state,\nxa-b,B,commune,state,\nxa-c,C,commune,state,2020-01-01\n");
    office.run(&["sites", "import", "s.csv"]).ok();

    let said = office.run(&["enroll", "xa-a"]);
    assert_eq!((said.code, said.out.lines().count()), (0, 1), "{}{}", said.out, said.err);
    let token =
        said.out.trim_end().strip_prefix("sudo wan-agent enroll http://127.0.0.1:18080 --token ").unwrap();
    assert!(wan_wire::secret::is(wan_wire::secret::TOKEN_PREFIX, token), "{token}");
    assert!(
        said.err.contains("Xã A (xa-a)\nPaste this line") && said.err.contains("works once, until 20"),
        "{}",
        said.err
    );
    assert!(said.err.starts_with("WARNING: the line names http://127.0.0.1:18080"), "{}", said.err);
    for entry in std::fs::read_dir(office.path("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(token.len()).any(|window| window == token.as_bytes()),
            "the token is on the disk"
        );
    }
    // The other spelling, other addresses; and the list shows until when the line works.
    let said = office.run(&[
        "enrol",
        "xa-a",
        "--ttl",
        "7d",
        "--url",
        "http://10.0.0.1",
        "--url",
        "http://wan.example.vn=internet",
    ]);
    assert!(
        said.out.starts_with(
            "sudo wan-agent enroll http://10.0.0.1 http://wan.example.vn=internet --token wane_"
        ),
        "{}",
        said.out
    );
    assert!(!said.err.contains("WARNING") && !said.out.contains("--force"), "{}{}", said.err, said.out);
    let listed = office.run(&["agents", "list", "--format", "json"]).ok().out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["state"], "none");
    assert!(listed[0]["line_until"].as_str().unwrap().starts_with("20"), "{listed}");
    assert_eq!(listed[1]["line_until"], "");
    assert_eq!(office.run(&["agents", "revoke", "xa-a"]).ok().out, "the enrolment line of xa-a is revoked\n");

    office.run(&["enroll", "xa-c"]).failed("the site xa-c is closed since 2020-01-01");
    office.run(&["enroll", "xa-x"]).failed("did you mean xa-");
    assert_eq!(office.run(&["enroll", "xa-a", "--ttl", "5m"]).code, 2);
    assert_eq!(office.run(&["enroll", "xa-a", "--url", "10.0.0.1"]).code, 2);
    assert_eq!(office.run(&["enroll"]).code, 2);

    office.run(&["agents", "issue", "xa-a"]).ok();
    let said = office.run(&["enroll", "xa-a"]);
    assert!(said.err.contains("(The site has a secret since 20"), "{}", said.err);
    assert!(said.out.trim_end().ends_with(" --force"), "its machine is enrolled already: {}", said.out);
    office.run(&["agents", "revoke", "xa-a"]).ok();
    let said = office.run(&["enroll", "xa-a"]);
    assert!(said.out.trim_end().ends_with(" --force"), "it still has its files: {}", said.out);
    office.run(&["agents", "issue", "xa-a"]).ok();
    let said = office
        .run(&["enroll", "--all", "--missing", "--output", "lines.csv", "--url", "http://10.0.0.1"])
        .ok();
    assert_eq!(said.out, "1 lines written to lines.csv\n");
    let written = std::fs::read_to_string(office.path("lines.csv")).unwrap();
    assert!(
        written.starts_with("site,name,expires,line\nxa-b,B,20")
            && written.contains(",sudo wan-agent enroll http"),
        "{written}"
    );
    let mode = std::fs::metadata(office.path("lines.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let said = office.run(&["enroll", "xa-a", "xa-b", "--url", "http://10.0.0.1"]).ok();
    assert_eq!(said.out.lines().count(), 3, "{}", said.out);
}

#[test]
fn the_help_of_a_command_has_its_whole_text() {
    let office = Office::new();
    for (command, words) in [
        (&["enroll", "--help"][..], "A new line for a site revokes the former one"),
        (&["agents", "issue", "--help"], "A secret is shown once"),
        (&["agents", "list", "--help"], "whose pushes are still in the journal"),
        (&["agents", "rotate", "--help"], "both are accepted until it has"),
        (&["agents", "revoke", "--help"], "The agent keeps what it measures"),
    ] {
        let said = office.run(command).ok().out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{command:?}: {said}");
    }
}

#[test]
fn an_agent_is_asked_for_a_new_secret() {
    let office = Office::new();
    office.file("s.csv", "id,name,tier,branch\nxa-a,A,commune,state\nxa-b,B,commune,state\n");
    office.run(&["sites", "import", "s.csv"]).ok();
    assert_eq!(
        office.run(&["agents", "rotate", "--all"]).ok().out,
        "no site has a secret: nobody was asked\n"
    );
    office.run(&["agents", "issue", "xa-a"]).ok();
    office
        .run(&["agents", "rotate", "xa-b"])
        .failed("xa-b has no secret to replace; `wan-collector enroll xa-b`");
    assert_eq!(
        office.run(&["agents", "rotate", "--all"]).ok().out,
        "the agent of xa-a is asked for a new secret with its next push\n"
    );
    let listed = office.run(&["agents", "list"]).ok().out;
    assert!(listed.lines().any(|line| line.starts_with("xa-a") && line.contains("asked 20")), "{listed}");
}

#[test]
fn wrong_use_of_the_command_line_exits_with_2() {
    let office = Office::new();
    for arguments in [
        &["sites"][..],
        &["sites", "import"],
        &["agents", "issue"],
        &["agents", "issue", "a", "--all"],
        &["no"],
    ] {
        assert_eq!(office.run(arguments).code, 2, "{arguments:?}");
    }
    for arguments in
        [&["sites", "import", "--help"][..], &["agents", "issue", "--help"], &["sites", "check", "--help"]]
    {
        let said = office.run(arguments).ok();
        assert!(said.out.contains("Example"), "{}", said.out);
    }
}

#[test]
fn a_configuration_is_checked_and_its_mistakes_are_listed() {
    let office = Office::new();
    assert!(office.run(&["check-config"]).ok().out.contains("collector.yaml: good"));
    office.file("collector.yaml", "listen: here\ntimezone: there\n");
    let said = office.run(&["check-config"]).failed("collector.yaml:1:9: listen: found “here”");
    assert!(said.err.ends_with("2 mistakes\n"), "{}", said.err);
}

#[test]
fn a_database_that_is_none_is_named() {
    let office = Office::new();
    std::fs::create_dir(office.path("data")).unwrap();
    office.file("data/wanwatch.db", &"not a database ".repeat(500));
    office.run(&["sites", "list"]).failed("wanwatch.db: the database is damaged or is not one");
}

#[test]
fn an_import_killed_at_any_moment_leaves_all_or_nothing() {
    const SITES: usize = 4000;
    let mut text = "id,name,tier,branch,wan.router,internet.carrier\n".to_owned();
    for n in 0..SITES {
        text.push_str(&format!("s{n},Xã {n},commune,state,10.1.{}.{},VNPT\n", n / 250, n % 250));
    }
    let (mut nothing, mut all) = (0, 0);
    for delay in 0..24 {
        let office = Office::new();
        office.file("s.csv", &text);
        let mut child = office
            .command(&["sites", "import", "s.csv"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Not before there is something to interrupt.
        while !office.path("data/wanwatch.db-wal").exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(delay * delay));
        child.kill().unwrap();
        child.wait().unwrap();
        match sites_after_kill(&office) {
            0 => nothing += 1,
            SITES => all += 1,
            some => panic!("{some} sites after {delay}² ms"),
        }
    }
    assert!(nothing > 0, "{nothing} imports left nothing, {all} all: no kill came in time");
}

/// The next command that writes recovers what the killed one left behind.
fn sites_after_kill(office: &Office) -> usize {
    office.file("none.csv", "id,name,tier,branch\n");
    office.run(&["sites", "import", "none.csv"]).ok();
    assert!(Path::new(&office.path("data/wanwatch.db")).exists());
    office.sites()
}

#[test]
fn the_certificate_is_shown_with_its_pin_and_made_once() {
    let office = Office::new();
    office.file(
        "collector.yaml",
        "data: data\nlisten: '[::]:18443'\nurls: [{url: 'https://wan.example.vn'}]\n",
    );
    let first = office.run(&["certificate"]).ok().out;
    for expected in
        ["wan.example.vn", "wan-collector.internal", "authority.pem", "server.pem", "pin          sha256:"]
    {
        assert!(first.contains(expected), "no {expected} in {first}");
    }
    assert_eq!(office.run(&["certificate"]).ok().out, first, "asked again, it is the same");
    let pem = office.run(&["certificate", "--pem"]).ok().out;
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"), "{pem}");
    let files = ["authority.pem", "server.pem"].map(|name| office.path("data/tls").join(name));
    for file in files {
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }

    office.file("collector.yaml", "data: data\nlisten: '[::]:18443'\ntls: off\n");
    office.run(&["certificate"]).failed("the proxy in front of the collector has the certificate");
    office.file("collector.yaml", "listen: '[::]:18443'\ntls: {certificate: a.pem, key: k.pem}\n");
    let said = office.run(&["certificate"]).failed("a.pem: No such file or directory");
    assert!(said.err.contains("must be able to read it"), "{}", said.err);
    office.run(&["certificate", "--pem"]).failed("no authority of the collector's own");
}

#[test]
fn config_check_tries_the_templates_of_alerts_and_says_who_hears_of_nothing() {
    let office = Office::new();
    let out = office.run(&["config", "check"]).ok().out;
    assert!(out.contains("alerts: no channel is configured, so nobody is told"), "{out}");
    let alerts = |text: &str| {
        office.file(
            "collector.yaml",
            &format!("data: data\nalerts:\n  channels:\n  - name: siren\n    command: {{run: [/bin/true]}}\n    text: '{text}'\n  routes: [{{severity: critical, to: siren}}]\n"),
        )
    };
    alerts("{{ waht }}");
    office
        .run(&["config", "check"])
        .failed("collector.yaml:6: alerts.channels[0].text: found undefined value");
    alerts("{{ what }}");
    let out = office.run(&["config", "check"]).ok().out;
    assert!(out.contains("alerts are told by siren\nnote: no route tells anybody of link_down\n"), "{out}");
}

#[test]
fn config_check_finds_every_mistake_and_config_show_shows_what_a_site_gets() {
    let office = Office::new();
    office.file("collector.yaml", "data: data\nagents: agents.yaml\n");
    let agents = office.path("agents.yaml").display().to_string();
    office.run(&["config", "check"]).failed("agents.yaml: found no readable file");
    office.file("agents.yaml", "tiers:\n  commune:\n    round: {interval: 9s}\n");
    let out = office.run(&["config", "check"]).ok().out;
    assert!(out.contains(&format!("{agents}: good; there is no register")), "{out}");
    office.run(&["config", "show", "xa-a"]).failed("there is no register");

    office.file("s.csv", "id,name,tier,branch\nxa-a,Xã A,commune,state\ntinh,Tỉnh,province,state\n");
    office.run(&["sites", "import", "s.csv"]).ok();
    let out = office.run(&["config", "check"]).ok().out;
    assert!(out.contains("agents.yaml: good; 1 of 2 sites get a configuration"), "{out}");
    let out = office.run(&["config", "show", "xa-a"]).ok().out;
    for line in ["not heard of yet", "  interval: 9s\n", "round: # tier commune\n", "  site: \"xa-a\"\n"] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(out.starts_with("# ETag \""), "{out}");
    assert!(
        out.contains("; the links of the agent's own file; at the agent"),
        "no links that it does not name: {out}"
    );
    let out = office.run(&["config", "show", "tinh"]).ok().out;
    assert_eq!(out, "# nothing is said of tinh: its agent's own file holds\n");
    office.run(&["config", "show", "xa-b"]).failed("did you mean xa-a?");
    let listed = office.run(&["agents", "list"]).ok().out;
    assert!(listed.contains("CONFIGURATION") && listed.contains("waiting"), "{listed}");

    office.file("agents.yaml", "tiers:\n  comune: {}\nall: {round: {interval: 9}}\n");
    let said =
        office.run(&["config", "check"]).failed("agents.yaml:2:3: tiers.comune: found the tier “comune”");
    assert!(
        said.err.contains(":3:25: all.round.interval: found 9") && said.err.contains("2 mistakes"),
        "{}",
        said.err
    );
    assert_eq!(office.run(&["check-config"]).err, said.err, "the former name of the command");

    // Meanwhile agents go on with the last good one, and that is what is shown.
    office.run(&["config", "show", "xa-a"]).failed("tiers.comune");
    let listed = office.run(&["agents", "list"]).ok();
    assert!(listed.out.contains("the file has mistakes"), "{}", listed.out);
    office.file("data/agent-config.last-good", "tiers: {commune: {round: {interval: 7s}}}\n");
    let out = office.run(&["config", "show", "xa-a"]).ok().out;
    assert!(
        out.starts_with(&format!(
            "# {agents} has mistakes, see `wan-collector config check`; the last good one says:\n# ETag "
        )),
        "{out}"
    );
    assert!(out.contains("  interval: 7s\n"), "{out}");
    let listed = office.run(&["agents", "list"]);
    assert!(
        listed.code == 0 && listed.out.contains("waiting") && listed.err.contains("agents.yaml has mistakes"),
        "{}{}",
        listed.out,
        listed.err
    );
}

#[test]
fn a_register_that_asks_too_much_of_an_agent_is_imported_with_a_warning_and_no_good_configuration() {
    let office = Office::new();
    office.file("collector.yaml", "data: data\nagents: agents.yaml\n");
    office.file(
        "agents.yaml",
        "sites: {tinh: {links: [{name: wan, source: 10.0.0.9, targets: [{icmp: 10.0.0.8}]}]}}\n",
    );
    office.file("s.csv", "id,name,tier,branch,watches,wan.router\ntinh,T,province,state,all,\nxa-a,A,commune,state,,10.0.1.1\n");
    let said = office.run(&["sites", "import", "s.csv"]).ok();
    assert_eq!(said.err, "");
    office.file("s.csv", "id,name,tier,branch,watches,wan.router\nxa-b,B,commune,state,,fd00::2\n");
    for arguments in [&["sites", "import", "s.csv", "--dry-run"][..], &["sites", "import", "s.csv"]] {
        let said = office.run(arguments);
        assert!(
            said.code == 0
                && said.err.contains("does not fit this register")
                && said.err.contains("register: tinh: found “fd00::2”"),
            "{}",
            said.err
        );
    }
    office.run(&["config", "check"]).failed("register: tinh: found “fd00::2” of the other family");
    let out = office.run(&["config", "show", "tinh"]).ok().out;
    assert!(
        out.starts_with("# no new configuration can be made for tinh: found “fd00::2”")
            && out.ends_with("# its agent keeps what it has\n"),
        "{out}"
    );
    office.file("data/agent-documents.last-good", r##"{"tinh": "# as before\n"}"##);
    let out = office.run(&["config", "show", "tinh"]).ok().out;
    assert!(
        out.contains("# its agent is told what it was told before\n# ETag ")
            && out.ends_with("# as before\n"),
        "{out}"
    );
    let listed = office.run(&["agents", "list"]).ok().out;
    assert!(listed.contains("waiting; no new one:"), "{listed}");
}

#[test]
fn works_are_planned_listed_ended_and_taken_back() {
    let office = Office::new();
    office.run(&["planned", "list"]).failed("there is no database yet");
    office.run(&["sites", "import", PROVINCE]).ok();
    let add = |arguments: &[&str]| {
        let mut all = vec!["planned", "add", "--reason", "thay cáp quang", "--by", "binh"];
        all.extend(arguments);
        office.run(&all)
    };
    let said = add(&[
        "--tier",
        "commune",
        "--every",
        "sat",
        "--from",
        "22:00",
        "--to",
        "02:00",
        "--valid-from",
        "2026-11-28",
    ])
    .ok();
    assert_eq!(said.out, "window 1: tier commune, weekly sat 22:00-02:00, from 2026-11-28\n");
    add(&["--all", "--from", "-3h", "--to", "-1h"]).ok();
    // From a day that is far off: whenever this runs, neither is open.
    let day = jiff::Timestamp::from_millisecond(wan_collector::clock::now().0 + 300 * 86_400_000).unwrap();
    let day = day.strftime("%Y-%m-%d").to_string();
    let far = ["--valid-from", day.as_str()];
    let monthly = ["--carrier", "vnpt", "--monthly", "last-sun", "--from", "00:00", "--to", "04:00"];
    add(&[&monthly[..], &far].concat()).ok();
    let holidays = [&["--all", "--calendar", "holidays"][..], &far].concat();
    add(&holidays).ok();
    add(&holidays).failed("the same is planned already, as window 4");
    add(&["--tier", "comune", "--from", "-3h", "--to", "-1h"])
        .failed("--tier: found “comune”, expected one of the plan's tiers");
    add(&["--carrier", "viettell", "--from", "-3h", "--to", "-1h"]).failed("did you mean Viettel?");
    add(&["--all", "--from", "-1h", "--to", "-3h"]).failed("exchange the two");
    let mut by_sudo =
        office.command(&["planned", "add", "--all", "--from", "-3h", "--to", "-2h", "--reason", "x"]);
    Said::from(by_sudo.env("SUDO_USER", "huong").output().unwrap()).ok();
    let mut hostile =
        office.command(&["planned", "add", "--all", "--from", "-5h", "--to", "-4h", "--reason", "x"]);
    Said::from(hostile.env("SUDO_USER", "a\u{7}b").output().unwrap())
        .failed("--by: found “a\\u{7}b”, expected a name of 1 to 64 characters, without control characters");

    let listed = office.run(&["planned", "list"]).ok();
    assert!(listed.out.contains("3 windows; times are those of Asia/Ho_Chi_Minh"), "{}", listed.out);
    assert!(listed.out.contains("carrier VNPT") && !listed.out.contains("over"), "{}", listed.out);
    office
        .run(&["planned", "remove", "2"])
        .failed("window 2 is over, so ending it would change nothing; --void takes it back altogether");
    let said = office.run(&["planned", "remove", "2", "--void", "--by", "an"]).ok();
    assert_eq!(said.out, "window 2 is void\n");
    office.run(&["planned", "remove", "1", "99", "--by", "an"]).failed("there is no window 99");
    let said = office.run(&["planned", "remove", "1", "--by", "an"]).ok();
    assert_eq!(said.out, "window 1 is ended; what it covered before stays planned\n");
    office.run(&["planned", "remove", "1"]).failed("window 1 was ended already");
    let all = office.run(&["planned", "list", "--all", "--format", "json"]).ok();
    let all: Vec<serde_json::Value> = serde_json::from_str(&all.out).unwrap();
    let told: Vec<_> =
        all.iter().map(|row| (row["state"].as_str().unwrap(), row["removed_by"].as_str().unwrap())).collect();
    assert_eq!(told, [("ended", "an"), ("void", "an"), ("coming", ""), ("coming", ""), ("over", "")]);
    assert_eq!(all[0]["added_by"], "binh");
    assert_eq!(all[4]["added_by"], "huong");

    for wrong in [
        &["planned", "add", "--from", "-3h", "--to", "-1h", "--reason", "x"][..],
        &["planned", "add", "--all", "--tier", "commune", "--reason", "x"],
        &["planned", "add", "--all", "--every", "sat", "--monthly", "1", "--reason", "x"],
        &["planned", "add", "--all"],
        &["planned", "remove"],
    ] {
        assert_eq!(office.run(wrong).code, 2, "{wrong:?}");
    }
}

/// Two alerts that fire, of which one is of a carrier's sites, and one that is over.
fn some_alerts(office: &Office) -> [String; 3] {
    use wan_collector::alert::correct::{Correction, Found, Said};
    use wan_collector::alert::notice::{AlertId, Both, Common, Rule, Severity, Subject};
    use wan_collector::alert::record::{AlertChanges, Record};
    use wan_collector::ledger::told::Because;
    use wan_collector::store::{Store as _, sqlite::SqliteStore};
    use wan_wire::UnixMillis;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = UnixMillis(i64::try_from(now.as_millis()).unwrap());
    let record = |rule, subject: Subject, minutes_ago: i64, members: &[&str]| Record {
        id: AlertId::of(rule, &subject, UnixMillis(minutes_ago)),
        rule,
        subject,
        severity: Severity::Critical,
        since: now.plus_millis(-minutes_ago * 60_000),
        fired: now.plus_millis(-minutes_ago * 60_000),
        until: None,
        told: None,
        under: None,
        members: members.iter().map(|id| id.parse().unwrap()).collect(),
        flaps: false,
        cause: None,
        why: Both { vi: "không nghe thấy".to_owned(), en: "not heard, \"again\"".to_owned() },
        drill: false,
        drill_ends: None,
        taken: None,
        corrections: Vec::new(),
    };
    let site = "ban-dan-van-tinh-uy";
    let one = record(Rule::AgentSilent, Subject::Site { site: site.parse().unwrap() }, 5, &[]);
    let vnpt = Subject::Many { common: Common::Carrier("VNPT".to_owned()) };
    let many = record(Rule::SiteOffline, vnpt, 90, &[site, "ban-noi-chinh-tinh-uy"]);
    let mut over = record(Rule::CollectorBlind, Subject::Collector, 200, &[]);
    over.until = Some(now.plus_millis(-100 * 60_000));
    let was = over.said().unwrap();
    let is = Said { found: Found::NotKnown, ..was };
    over.corrections = vec![Correction { at: now.plus_millis(-60_000), was, is, because: Because::Evidence }];
    let records = vec![one, many, over];
    let ids = std::array::from_fn(|index| records[index].id.to_string());
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let store = SqliteStore::open(&office.path("data/wanwatch.db")).await.unwrap();
        store.write_alerts(&AlertChanges { records, ..AlertChanges::default() }).await.unwrap();
        store.close().await;
    });
    ids
}

#[test]
fn alerts_are_listed_taken_up_and_silenced() {
    let office = Office::new();
    office.run(&["alerts", "list"]).failed("there is no database yet");
    office.run(&["sites", "import", PROVINCE]).warned();
    let none = office.run(&["alerts", "list"]).ok();
    assert_eq!(none.out, "Alerts that fire now (Asia/Ho_Chi_Minh)\nnone\n");
    let [one, many, over] = some_alerts(&office);

    let listed = office.run(&["alerts", "list"]).ok().out;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(
        listed.contains("Ban Dân vận Tỉnh ủy") && listed.contains("5 min") && listed.contains("goes on"),
        "{listed}"
    );
    assert!(listed.contains("Carrier VNPT") && listed.contains("2 sites; not heard"), "{listed}");
    let history = office.run(&["alerts", "history", "--from", "-4h", "--format", "csv"]).ok().out;
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(history.contains(&format!("{over},collector_blind,critical,collector,")), "{history}");
    assert!(history.contains("\"not heard, \"\"again\"\"\""), "{history}");
    assert!(history.lines().next().unwrap().ends_with(",corrections"), "{history}");
    assert!(
        history.contains(",\"corrected 20") && history.contains("; because of other evidence\""),
        "{history}"
    );
    let table = office.run(&["alerts", "history", "--from", "-4h", "--lang", "vi"]).ok().out;
    assert!(table.contains("không nghe thấy; đính chính ") && table.contains("không nghe thấy"), "{table}");
    let json =
        office.run(&["alerts", "list", "--rule", "agent_silent", "--lang", "vi", "--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["alerts"][0]["id"], &json["alerts"][0]["why"]),
        (&one.as_str().into(), &"không nghe thấy".into())
    );
    office.run(&["alerts", "list", "--rule", "agent_silentt"]).failed("did you mean agent_silent?");
    office.run(&["alerts", "history", "--from", "-1h", "--to", "-2h"]).failed("exchange the two");

    let ack = ["alerts", "ack", &one, &many, "--reason", "đã gọi VNPT", "--by", "binh"];
    let said = office.run(&ack).ok();
    assert_eq!(said.out, format!("alert {one} is taken up by binh\nalert {many} is taken up by binh\n"));
    office
        .run(&["alerts", "ack", &one, "--reason", "x", "--until", "-1h"])
        .failed("--until: found “-1h”, expected a time to come");
    office
        .run(&["alerts", "ack", &one, &over, "--reason", "x", "--by", "an"])
        .failed("is over: there is nothing to take up");
    assert!(!office.run(&["alerts", "list"]).ok().out.contains(" an "), "all or none");
    office.run(&["alerts", "ack", "a0", "--reason", "x"]).failed("there is no alert \"a0\"");
    office.run(&["alerts", "unack", &one]).ok();
    office.run(&["alerts", "unack", &one]).failed("nobody has taken alert");

    let silence = |more: &[&str]| {
        let mut all = vec!["alerts", "silence", "--reason", "thợ đang sửa", "--by", "binh"];
        all.extend(more);
        office.run(&all)
    };
    let said = silence(&["--site", "ban-dan-van-tinh-uy", "--rule", "agent_silent", "--for", "2h"]).ok();
    assert!(said.out.starts_with("silence 1: site ban-dan-van-tinh-uy, agent_silent, 20"), "{}", said.out);
    silence(&["--all", "--from", "22:00", "--to", "02:00"]).ok();
    silence(&["--carrier", "viettell", "--for", "2h"]).failed("did you mean Viettel?");
    silence(&["--all", "--for", "91d"])
        .failed("--for: found “91d”, expected an end at most 90d after the start");
    assert!(office.run(&["alerts", "list"]).ok().out.contains("silenced until 20"));
    assert!(
        office
            .run(&["alerts", "silences"])
            .ok()
            .out
            .contains("2 silences; times are those of Asia/Ho_Chi_Minh")
    );
    let said = office.run(&["alerts", "unsilence", "1", "--by", "an"]).ok();
    assert_eq!(said.out, "silence 1 is ended\n");
    office.run(&["alerts", "unsilence", "1"]).failed("silence 1 is over or was ended already");
    office.run(&["alerts", "unsilence", "2", "9"]).failed("there is no silence 9");
    let all = office.run(&["alerts", "silences", "--all", "--format", "json"]).ok();
    let all: serde_json::Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(all["silences"][0]["state"], "ended");
    assert_eq!(
        (&all["silences"][0]["ended_by"], &all["silences"][1]["ended_by"]),
        (&"an".into(), &serde_json::Value::Null)
    );
    let table = office.run(&["alerts", "silences", "--all"]).ok().out;
    assert!(table.contains("ENDED BY") && table.lines().any(|line| line.ends_with(" an")), "{table}");
    assert_eq!(
        (&all["silences"][1]["of"], &all["silences"][1]["by"]),
        (&serde_json::Value::Null, &"binh".into())
    );

    for wrong in [
        &["alerts"][..],
        &["alerts", "ack", "--reason", "x"],
        &["alerts", "ack", &one],
        &["alerts", "silence", "--all", "--reason", "x"],
        &["alerts", "silence", "--for", "2h", "--reason", "x"],
        &["alerts", "silence", "--all", "--for", "2h", "--to", "23:00", "--reason", "x"],
        &["alerts", "silence", "--all", "--tier", "commune", "--for", "2h", "--reason", "x"],
        &["alerts", "unsilence"],
    ] {
        assert_eq!(office.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn uptime_is_stated_for_hours_of_service_with_planned_time_as_asked() {
    let office = Office::new();
    office.run(&["sites", "import", PROVINCE]).ok();
    let said = office.run(&["uptime", "--hours", "service", "--planned", "ignore"]).ok();
    assert!(
        said.out.lines().next().unwrap().contains("(Asia/Ho_Chi_Minh; hours: service, planned: ignore)"),
        "{}",
        said.out
    );
    let json = office.run(&["uptime", "--period", "2026-Q1", "--hours", "service", "--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json["hours"].as_str(), json["planned"].as_str()), (Some("service"), Some("exclude")));
    assert_eq!(json["window"]["start_local"], "2026-01-01T00:00:00+07:00");
    let row = &json["rows"][0];
    let of = |key: &str| row[key].as_i64().unwrap();
    let charged: i64 =
        ["up_ms", "degraded_ms", "down_ms", "unknown_ms", "planned_ms", "outside_ms"].map(of).iter().sum();
    assert_eq!(charged, row["window"]["end"].as_i64().unwrap() - row["window"]["start"].as_i64().unwrap());
    office
        .run(&["uptime", "--hours", "servce"])
        .failed("hours: found “servce”, expected one of all, service; did you mean service?");
    office.run(&["uptime", "--planned", "no"]).failed("expected one of exclude, up, ignore");
    office
        .run(&["uptime", "--period", "2026-13"])
        .failed("a month such as 2026-10, or a quarter such as 2026-Q4");
}
