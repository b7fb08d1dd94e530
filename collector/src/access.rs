//! Who may read: the page, the JSON API and `/metrics`.
//!
//! ```text
//!             loopback listener                          any other listener
//!  request ──► decide::answer                request ──────► what does the path need?  (decide::need)
//!                                                              │ nothing: go on
//!                                                              ▼
//!                    Authorization: Bearer wanr_… ────► token ─┐
//!                    Cookie: session ─────────────► session ───┼─► who reads? ──► decide::answer
//!                    nothing ─────────────────────► anonymous ─┘      go on · 401 · 303 /login?next=… · 403
//! ```
//!
//! - **On loopback nobody logs in**: only programs of the collector's own machine reach it. Two of them may act for somebody
//!   elsewhere, and are refused there: a browser that a page's name was made to lead here (the request then names another host than
//!   this machine), and a proxy (which says that it is one). On any other address everybody logs in, by name and password (people)
//!   or by token (scrapers, scripts), and a collector that has neither user nor token does not start there ([`may_serve`]).
//! - **[`decide`]** is pure: what a path needs, and what is answered. It is closed by default: what no line of its table
//!   names needs a viewer to read and an operator to change.
//! - **Sessions** live in the store, so they survive a restart, and a user who is disabled, removed or given another password
//!   is out with the very next request. Only the SHA-256 of a session's or token's 256 random bits is stored, and it is the key
//!   that is looked up: how long a look-up takes tells nothing about a secret that matches.
//! - **Passwords** are argon2id ([`password`]), checked off the async threads and few at a time. A name that does not exist costs
//!   the same as a wrong password, and is answered the same.
//! - **Failures are limited** by address and by name ([`crate::attempts`]).
//!
//! Agents have their own credential and are not concerned: see [`crate::ingest`].

pub(crate) mod credential;
pub mod decide;
mod guard;
mod login;
pub mod password;
pub mod user;

use std::net::SocketAddr;

use crate::config::is_loopback;

pub use credential::local_path;
pub use guard::{Guard, Reader, guarded};
pub use user::{Role, UserName};

/// The collector will not serve an address that others reach while nobody could log in there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, where page, API and /metrics ask for a login or a token, and there is no \
     user and no token yet; run `wan-collector users add NAME --role operator{config}` or \
     `wan-collector tokens add NAME{config}` first, or listen on 127.0.0.1 only"
)]
pub struct NobodyCouldRead {
    /// The first such address.
    pub address: SocketAddr,
    /// What the commands need so that they mean this collector's configuration: nothing, or ` --config FILE`.
    pub config: String,
}

/// Whether the collector may listen on `addresses`: on any but loopback only when `somebody` could read there.
///
/// # Errors
/// When nobody could.
pub fn may_serve<'a>(
    addresses: impl IntoIterator<Item = &'a SocketAddr>,
    somebody: bool,
) -> Result<(), NobodyCouldRead> {
    match addresses.into_iter().find(|address| !is_loopback(address)) {
        Some(address) if !somebody => Err(NobodyCouldRead { address: *address, config: String::new() }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod shell_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_is_served_only_when_somebody_could_log_in() {
        for (addresses, somebody, refused) in [
            (&["127.0.0.1:8080"][..], false, None),
            (&["[::1]:8080", "127.8.9.1:80", "[::ffff:127.0.0.1]:80"], false, None),
            (&[], false, None),
            (&["0.0.0.0:8443"], false, Some("0.0.0.0:8443")),
            (&["127.0.0.1:8080", "[::]:8443"], false, Some("[::]:8443")),
            (&["10.0.0.5:8443"], false, Some("10.0.0.5:8443")),
            (&["127.0.0.1:8080", "[::]:8443", "10.0.0.5:8443"], true, None),
        ] {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let answer = may_serve(&addresses, somebody);
            let expected =
                refused.map(|text| NobodyCouldRead { address: text.parse().unwrap(), config: String::new() });
            assert_eq!(answer.err(), expected, "{addresses:?}");
        }
        let mut nobody = may_serve(&["[::]:8443".parse().unwrap()], false).unwrap_err();
        let said = nobody.to_string();
        assert!(
            said.contains("users add NAME --role operator") && said.contains("tokens add NAME"),
            "{said}"
        );
        nobody.config = " --config c.yaml".to_owned();
        assert!(nobody.to_string().contains("tokens add NAME --config c.yaml`"), "{nobody}");
    }
}
