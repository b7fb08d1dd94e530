//! Writes the dashboards, or says whether they are what this makes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Writes Wanwatch's Grafana dashboards and alert rules into deploy/grafana")]
struct Arguments {
    /// The folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards"))]
    folder: PathBuf,
    /// Prometheus' alert rules, of which Grafana's are made.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../prometheus/wanwatch-alerts.yml"))]
    rules: PathBuf,
    /// The file of Grafana's alert rules.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../provisioning/alerting/wanwatch.yaml"))]
    alerting: PathBuf,
    /// Writes nothing: fails where a file is not what would be written.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let files = wan_dashboards::files();
    let wrong: Vec<String> = files
        .iter()
        .filter(|(path, text)| {
            std::fs::read_to_string(arguments.folder.join(path)).ok().as_ref() != Some(*text)
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    let rules = std::fs::read_to_string(&arguments.rules)
        .with_context(|| format!("read {}", arguments.rules.display()))?;
    let alerting =
        wan_dashboards::rules::grafana(&rules).with_context(|| arguments.rules.display().to_string())?;
    let known: BTreeSet<&PathBuf> = files.keys().collect();
    let unknown: Vec<PathBuf> =
        present(&arguments.folder)?.into_iter().filter(|path| !known.contains(path)).collect();
    if arguments.check {
        if !wrong.is_empty() || !unknown.is_empty() {
            let unknown: Vec<String> = unknown.iter().map(|path| path.display().to_string()).collect();
            bail!(
                "{}: not what the builder makes: {}; not made by it: {}; run `cargo run -p wan-dashboards`",
                arguments.folder.display(),
                wrong.join(", "),
                unknown.join(", ")
            );
        }
        if std::fs::read_to_string(&arguments.alerting).ok() != Some(alerting) {
            bail!(
                "{}: not what is made of {}; run `cargo run -p wan-dashboards`",
                arguments.alerting.display(),
                arguments.rules.display()
            );
        }
        return Ok(());
    }
    std::fs::write(&arguments.alerting, alerting)
        .with_context(|| format!("write {}", arguments.alerting.display()))?;
    for (path, text) in &files {
        let path = arguments.folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    for path in unknown {
        let path = arguments.folder.join(path);
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

/// The JSON files that are there, beneath the folder.
fn present(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for lang in ["vi", "en"] {
        let folder = folder.join(lang);
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let name = entry.with_context(|| format!("read {}", folder.display()))?.file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == "json") {
                found.push(Path::new(lang).join(name));
            }
        }
    }
    Ok(found)
}
