//! What commands have in common: output, tables, and finding the site that was meant.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};

use clap::ValueEnum;
use wan_settings::nearest;
use wan_wire::SiteId;

use crate::inventory::Register;
use crate::planned::draft::name;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// An array of objects.
    Json,
    /// Comma-separated values.
    Csv,
}

/// Writes to standard output. A reader that has gone away, such as `head`, is no failure.
pub(super) fn print(text: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes one line to standard error.
pub(super) fn say(text: impl fmt::Display) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The site that a user named, or an error with the id that was probably meant.
pub(super) fn find_site(register: &Register, text: &str) -> anyhow::Result<SiteId> {
    if let Ok(id) = text.parse::<SiteId>()
        && register.get(&id).is_some()
    {
        return Ok(id);
    }
    let ids = register.sites().map(|site| site.id.as_str());
    match nearest(text, ids) {
        Some(meant) => anyhow::bail!("there is no site {text:?} in the register; did you mean {meant}?"),
        None => {
            anyhow::bail!("there is no site {text:?} in the register; `wan-collector sites list` shows all")
        }
    }
}

/// A table without lines between rows, as wide as its content.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(head);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// CSV text with a first row of names.
pub(super) fn csv(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head)?;
    for row in rows {
        writer.write_record(&row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Writes a list: as a table with `summary` beneath, as objects, or as CSV.
pub(super) fn list(
    format: Format,
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    summary: &str,
) -> anyhow::Result<()> {
    match format {
        Format::Table => {
            let capitals: Vec<String> =
                head.iter().map(|name| name.to_uppercase().replace('_', " ")).collect();
            let capitals: Vec<&str> = capitals.iter().map(String::as_str).collect();
            print(format_args!("{}{summary}", table(&capitals, rows)))
        }
        Format::Json => {
            let object = |row: Vec<String>| head.iter().copied().zip(row).collect::<BTreeMap<_, _>>();
            let objects: Vec<_> = rows.into_iter().map(object).collect();
            print(format_args!("{}\n", serde_json::to_string_pretty(&objects)?))
        }
        Format::Csv => print(csv(head, rows)?),
    }
}

pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Who is at the terminal: as `--by` says, else the user, also where root acts for one.
pub(super) fn who(by: Option<&str>) -> anyhow::Result<String> {
    let user = || {
        let of_process = || nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok().flatten();
        std::env::var("SUDO_USER").ok().or_else(|| of_process().map(|user| user.name))
    };
    let Some(by) = by.map(str::to_owned).or_else(user) else {
        anyhow::bail!("--by: found nothing, and this user has no name; say who does it, as in --by binh");
    };
    Ok(name(&by)?)
}
