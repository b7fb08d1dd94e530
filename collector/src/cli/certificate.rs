//! `wan-collector certificate`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::output::print;
use crate::clock;
use crate::config::{Config, Tls};
use crate::tls::{Own, Secured};

/// What to show of the certificate.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print only the certificate of the collector's own authority as PEM, for browsers and for an agent's ca_file.
    #[arg(long)]
    pub pem: bool,
}

/// Shows the certificate by which agents and browsers know this collector. Makes the collector's own if there is none yet, as
/// `serve` would.
///
/// # Errors
/// When the configuration is wrong, TLS is off, or a file is missing or cannot be used.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    let now = clock::now();
    if args.pem {
        anyhow::ensure!(
            config.tls == Tls::Auto,
            "there is no authority of the collector's own: `tls` in {} says otherwise",
            file.display()
        );
        print(Own::new(&config).authority_certificate(now)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(secured) = Secured::open(&config, now)? else {
        anyhow::bail!(
            "`tls: off` in {}: the proxy in front of the collector has the certificate",
            file.display()
        );
    };
    let facts = secured.facts();
    let mut text = String::new();
    let mut line = |name: &str, value: &str| writeln!(text, "{name:<13}{value}");
    match &config.tls {
        Tls::Auto => {
            let own = Own::new(&config);
            line(
                "certificate",
                &format!("{} (made by the collector, renewed by itself)", own.certificate_file().display()),
            )?;
            line(
                "authority",
                &format!("{} (keep a backup: agents pin its key)", own.authority_file().display()),
            )?;
        }
        Tls::Files { certificate, key } => {
            line("certificate", &certificate.display().to_string())?;
            line("key", &key.display().to_string())?;
        }
        Tls::Off => {}
    }
    line("names", &facts.names.join(", "))?;
    line("valid", &format!("{} to {}", facts.begins, facts.ends))?;
    line("fingerprint", &facts.fingerprint)?;
    line("own key", &facts.own_pin)?;
    match &facts.pin {
        Some(pin) => line("pin", &format!("{pin} (what agents trust: collector.pins)"))?,
        None => line(
            "pin",
            "none: agents check it by their system's authorities and the URL's host; append the root's certificate to the \
             chain to have them pin that instead",
        )?,
    }
    if let Some(why) = facts.out_of_time(now) {
        line("refused", &why)?;
    }
    if !config.listen.iter().any(|address| config.speaks_tls(address)) {
        line("in use", "nowhere: `listen` has only loopback addresses, which speak plain HTTP")?;
    }
    print(text)?;
    Ok(ExitCode::SUCCESS)
}
