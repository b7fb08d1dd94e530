//! `wan-collector check-config`.

use std::path::Path;
use std::process::ExitCode;

use super::output::print;
use crate::config::Config;

/// Reads the configuration file and says what is wrong with it, or the heart of what it says.
///
/// # Errors
/// All mistakes of the file.
pub fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    let plan = &config.plan;
    print(format_args!(
        "{}: good\nlisten {}, data {}, time zone {}, {} tiers, {} branches\n",
        file.display(),
        config.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        config.data.display(),
        config.timezone.iana_name().unwrap_or("UTC"),
        plan.tiers.len(),
        plan.branches.len()
    ))?;
    Ok(ExitCode::SUCCESS)
}
