//! Looking up a target's name, once each round, never twice at once.
//!
//! The system's resolver may hang for half a minute when no name server answers. A look-up that outlives its round goes on
//! and serves the rounds that follow, so that an outage does not pile up waiting threads.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::NotReady;
use crate::config::{Family, Host};

type Found = Option<Result<IpAddr, String>>;

/// Finds one host's address.
pub(super) struct Lookup {
    host: Host,
    fixed: Option<IpAddr>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: Option<watch::Receiver<Found>>,
    latest: Option<IpAddr>,
}

impl Lookup {
    pub(super) fn new(host: &Host) -> Self {
        Lookup { host: host.clone(), fixed: host.name.parse().ok(), state: Mutex::default() }
    }

    /// The family of the address.
    pub(super) fn family(&self) -> Family {
        self.host.family
    }

    /// The address that the latest successful look-up found.
    pub(super) fn latest(&self) -> Option<IpAddr> {
        self.fixed.or_else(|| self.lock().latest)
    }

    /// Looks the name up. An address needs none.
    pub(super) async fn find(&self) -> Result<IpAddr, NotReady> {
        if let Some(address) = self.fixed {
            return Ok(address);
        }
        let mut under_way = self.start();
        let found = match under_way.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            Err(_) => None,
        };
        let mut state = self.lock();
        state.under_way = None;
        match found {
            Some(Ok(address)) => {
                state.latest = Some(address);
                Ok(address)
            }
            Some(Err(why)) => {
                state.latest = None;
                Err(NotReady::Unanswered(why))
            }
            None => Err(NotReady::Fault("the name look-up was cut off".into())),
        }
    }

    fn start(&self) -> watch::Receiver<Found> {
        let mut state = self.lock();
        if let Some(under_way) = &state.under_way {
            return under_way.clone();
        }
        let (found, receiver) = watch::channel(None);
        let host = self.host.clone();
        tokio::spawn(async move {
            let result = look_up(&host).await;
            let _ = found.send(Some(result));
        });
        state.under_way = Some(receiver.clone());
        receiver
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(host: &Host) -> Result<IpAddr, String> {
    let wanted = |address: &SocketAddr| address.is_ipv4() == (host.family == Family::V4);
    match tokio::net::lookup_host((host.name.as_str(), 0)).await {
        Ok(mut found) => match found.find(wanted) {
            Some(address) => Ok(address.ip()),
            None => Err(format!("{} has no address of this family", host.name)),
        },
        Err(error) => Err(format!("name {} not found: {error}", host.name)),
    }
}

/// A name that nothing has, and that no resolver is asked for: its first label is longer than DNS has them.
#[cfg(test)]
pub(crate) fn no_name() -> String {
    format!("{}.invalid", "x".repeat(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str, family: Family) -> Lookup {
        Lookup::new(&Host { name: name.into(), family })
    }

    #[tokio::test]
    async fn an_address_is_its_own_and_a_name_is_looked_up() {
        assert_eq!(lookup("192.0.2.1", Family::V4).latest(), Some([192, 0, 2, 1].into()));
        let localhost = lookup("localhost", Family::V4);
        assert_eq!(localhost.latest(), None);
        assert_eq!(localhost.find().await, Ok([127, 0, 0, 1].into()));
        assert_eq!(localhost.latest(), Some([127, 0, 0, 1].into()));
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_unanswered_and_not_a_fault() {
        let found = lookup(&no_name(), Family::V4).find().await;
        assert!(matches!(&found, Err(NotReady::Unanswered(why)) if why.contains(&no_name())), "{found:?}");
    }
}
