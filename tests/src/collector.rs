//! A real collector for a test: its configuration, register and secrets made by the same commands an operator would use.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;

use crate::api::Api;
use crate::clock;
use crate::netns::Namespace;
use crate::process::{self, Process};
use crate::scene::Scene;

/// How long a start may take: loading what was stored, on a machine that does other things too.
const START_LIMIT: Duration = Duration::from_secs(60);

/// One site of a test's register.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its id.
    pub id: String,
    /// Its tier: `province`, `district` or `commune` in the configuration's defaults.
    pub tier: &'static str,
    /// Its branch: `party`, `state` or `mass`.
    pub branch: &'static str,
}

impl Site {
    /// A site of the state branch at commune level.
    pub fn commune(id: &str) -> Self {
        Self { id: id.to_owned(), tier: "commune", branch: "state" }
    }
}

/// A collector that can be started, stopped and started again on the same data.
#[derive(Debug)]
pub struct Collector {
    config: String,
    address: SocketAddr,
    space: Option<String>,
    logs: PathBuf,
    secrets: BTreeMap<String, String>,
    token: Option<String>,
    process: Option<Process>,
}

impl Collector {
    /// Writes the configuration, imports a register of `sites` and issues a secret for each of `equipped`. Starts nothing.
    pub fn prepare(
        scene: &Scene,
        listen: SocketAddr,
        further_config: &str,
        sites: &[Site],
        equipped: &[&str],
    ) -> Result<Self> {
        let mut register = String::from("id,name,tier,branch\n");
        for site in sites {
            register.push_str(&format!("{},Cơ quan {},{},{}\n", site.id, site.id, site.tier, site.branch));
        }
        let register = scene.write("sites.csv", &register)?;
        Self::prepare_from(scene, listen, further_config, Path::new(&register), equipped)
    }

    /// The same with a register that is a file already.
    pub fn prepare_from(
        scene: &Scene,
        listen: SocketAddr,
        further_config: &str,
        register: &Path,
        equipped: &[&str],
    ) -> Result<Self> {
        let data = scene.path("collector");
        let config = scene.write(
            "collector.yaml",
            &format!("listen: \"{listen}\"\ndata: {data}\ncheckpoint_interval: 1s\n{further_config}"),
        )?;
        let register = register.display().to_string();
        let program = process::binary("wan-collector")?;
        process::run(&program, &["sites", "import", "--config", &config, &register])?;
        let mut secrets = BTreeMap::new();
        for site in equipped {
            let printed = process::run(&program, &["agents", "issue", "--config", &config, site])?;
            let secret = printed
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
                .find(|word| word.starts_with("wan_") && word.len() == 47)
                .ok_or_else(|| anyhow!("`agents issue {site}` printed no secret: {printed}"))?;
            secrets.insert((*site).to_owned(), secret.to_owned());
        }
        // Where others reach it, it asks who reads; the tests read by a token.
        let token = match listen.ip().to_canonical().is_loopback() {
            true => None,
            false => {
                let printed = process::run(
                    &program,
                    &["tokens", "add", "tests", "--role", "operator", "--config", &config],
                )?;
                Some(printed.trim().to_owned())
            }
        };
        Ok(Self { secrets, token, ..Self::of(scene, listen, config) })
    }

    /// One with a configuration that is there already, and the data that it names. Whoever reads needs no token.
    pub fn of(scene: &Scene, listen: SocketAddr, config: String) -> Self {
        Self {
            config,
            address: listen,
            space: None,
            logs: scene.dir().to_owned(),
            secrets: BTreeMap::new(),
            token: None,
            process: None,
        }
    }

    /// From now on it runs inside this namespace.
    pub fn inside(mut self, space: &Namespace) -> Self {
        self.space = Some(space.name().to_owned());
        self
    }

    /// Tests reach it at this address (default: where it listens).
    pub fn reached_at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Starts it and waits until `/readyz` says that it is.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the collector already runs");
        let program = process::binary("wan-collector")?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(space) = &self.space {
            command.args(["ip", "netns", "exec", space]);
        }
        command.arg(program).args(["serve", "--config", &self.config]);
        let mut process = Process::spawn("collector", command, &self.logs)?;
        let api = self.api();
        clock::eventually("the collector is ready", START_LIMIT, || {
            process.check_running()?;
            let answer = api.get("/readyz")?;
            ensure!(answer.status == 200, "/readyz answers {}: {}", answer.status, answer.body);
            Ok(())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it cleanly (SIGTERM).
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().ok_or_else(|| anyhow!("the collector does not run"))?.stop()
    }

    /// Kills it (SIGKILL), as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().ok_or_else(|| anyhow!("the collector does not run"))?.kill()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().ok_or_else(|| anyhow!("the collector does not run"))?.signal(signal)
    }

    /// An error unless it runs.
    pub fn check_running(&mut self) -> Result<()> {
        self.process.as_mut().ok_or_else(|| anyhow!("the collector does not run"))?.check_running()
    }

    /// Its memory.
    pub fn resident(&self) -> Result<process::Resident> {
        self.process.as_ref().ok_or_else(|| anyhow!("the collector does not run"))?.resident()
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.logs.join("collector.log")).unwrap_or_default()
    }

    /// The secret of a site.
    pub fn secret(&self, site: &str) -> Result<&str> {
        self.secrets.get(site).map(String::as_str).ok_or_else(|| anyhow!("site {site} has no secret"))
    }

    /// The value of the `Authorization` header of a site.
    pub fn bearer(&self, site: &str) -> Result<String> {
        Ok(format!("Bearer {}", self.secret(site)?))
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its configuration file.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// A client of its JSON API, which enters the namespace when there is one, and has a token when one is needed.
    pub fn api(&self) -> Api {
        let api = Api::new(self.address, self.space.as_deref());
        self.token.iter().fold(api, |api, token| api.with_token(token))
    }

    /// The value of one series of its own `/metrics`.
    pub fn figure(&self, series: &str) -> Result<f64> {
        let page = self.api().get("/metrics")?.body;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.ok_or_else(|| anyhow!("no {series}"))?
            .trim()
            .parse()
            .with_context(|| format!("{series}: {line:?}"))
    }

    /// Runs `wan-collector COMMAND --config FILE ARGS` and gives what it prints.
    pub fn command(&self, command: &[&str], args: &[&str]) -> Result<String> {
        let program = process::binary("wan-collector")?;
        let all = [command, &["--config", self.config.as_str()], args].concat();
        process::run(&program, &all).with_context(|| format!("wan-collector {}", command.join(" ")))
    }
}

/// Writes an agent's configuration and starts the agent inside `space`.
pub fn start_agent(
    scene: &Scene,
    site: &str,
    space: Option<&Namespace>,
    collector_url: &str,
    secret: &str,
    rest: &str,
) -> Result<Process> {
    let secret_file = scene.write(&format!("{site}.secret"), &format!("{secret}\n"))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret_file, mode).with_context(|| format!("chmod 600 {secret_file}"))?;
    let data = scene.path(&format!("agent-{site}"));
    let config = scene.write(
        &format!("{site}.yaml"),
        &format!(
            "data: {data}\ncollector:\n  urls:\n    - url: {collector_url}\n  secret_file: {secret_file}\n{rest}"
        ),
    )?;
    let program = process::binary("wan-agent")?;
    process::run(&program, &["check-config", &config])?;
    Process::start(
        &format!("agent-{site}"),
        Path::new(&program),
        &["run", "--config", &config],
        space,
        scene.dir(),
    )
}
