//! Names of network interfaces.

use std::fmt;
use std::str::FromStr;

/// Linux's `IFNAMSIZ` less its closing zero.
pub const LONGEST_INTERFACE: usize = 15;

/// The name of a network interface, as Linux takes it: 1 to 15 bytes without white space, `/` and `:`, and not `.` or `..`.
///
/// Whether there is an interface of this name is another question, whose answer changes while a host runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct InterfaceName(String);

/// The text is no name of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnInterface;

impl InterfaceName {
    /// What an interface's name is, for messages.
    pub const EXPECTED: &str = "an interface name of 1 to 15 bytes";
    /// Where to look for the names, for messages.
    pub const REMEDY: &str = "see “ip link” for the names";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = NotAnInterface;

    fn from_str(text: &str) -> Result<Self, NotAnInterface> {
        // The kernel's dev_valid_name, and no control characters: these would reach logs and terminals.
        let odd = |c: char| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control();
        let good = (1..=LONGEST_INTERFACE).contains(&text.len())
            && !matches!(text, "." | "..")
            && !text.chars().any(odd);
        good.then(|| Self(text.to_owned())).ok_or(NotAnInterface)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for InterfaceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NotAnInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}", InterfaceName::EXPECTED)
    }
}

impl std::error::Error for NotAnInterface {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_the_kernel_takes_them() {
        for good in ["eth0", "enp0s31f6", "ppp0", "br-lan.100", "wan@x", "123456789012345"] {
            assert_eq!(good.parse::<InterfaceName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in
            ["", ".", "..", "eth 0", "eth0:1", "a/b", "eth\t0", "eth\u{7f}", "1234567890123456", "ééééééé1é"]
        {
            assert_eq!(bad.parse::<InterfaceName>(), Err(NotAnInterface), "{bad}");
        }
    }
}
