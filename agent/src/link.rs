//! What the host says about its links: default gateways, interfaces, neighbours, boot.
//!
//! Parsers are pure and take the text of a file under `/proc` or `/sys`; the readers beside them only open it. What cannot
//! be read is absent, never zero.

pub mod gateway;
pub mod interface;

use std::path::Path;

/// What tells one boot of the host from another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// The random id that the kernel made at boot (`/proc/sys/kernel/random/boot_id`); empty when unknown.
    pub id: String,
    /// When the host booted, in Unix seconds by its own clock (`btime` of `/proc/stat`).
    pub time: Option<i64>,
}

/// This boot.
pub fn boot() -> Boot {
    let id = read(Path::new("/proc/sys/kernel/random/boot_id")).map(|text| text.trim().to_owned());
    Boot { id: id.unwrap_or_default(), time: boot_time() }
}

/// When the host booted, by its clock as it stands now: a clock that is set right moves it.
pub fn boot_time() -> Option<i64> {
    parse_boot_time(&read(Path::new("/proc/stat"))?)
}

fn parse_boot_time(stat: &str) -> Option<i64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_is_the_btime_line() {
        assert_eq!(parse_boot_time("cpu  1 2 3\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000));
        assert_eq!(parse_boot_time("cpu  1 2 3\n"), None);
        assert_eq!(parse_boot_time("btime x\n"), None);
    }

    #[test]
    fn this_host_has_a_boot_id_and_a_boot_time() {
        let boot = boot();
        assert_eq!(boot.id.len(), 36, "{boot:?}");
        assert!(boot.time.is_some());
    }
}
