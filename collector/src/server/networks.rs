//! So many places for each network, so that one cannot take all of something.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// From this many on, networks of which nobody holds or awaits a place are looked for and forgotten.
const MANY: usize = 1024;

/// Hands out places.
#[derive(Debug)]
pub(super) struct Networks {
    each: usize,
    taken: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'n> {
    networks: &'n Networks,
    network: IpAddr,
    own: Option<OwnedSemaphorePermit>,
}

impl Networks {
    /// `each` places for every network.
    pub(super) fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// Waits for a place of `network`'s.
    pub(super) async fn take(&self, network: IpAddr) -> Result<Place<'_>, AcquireError> {
        let own = self.of(network).acquire_owned().await?;
        Ok(Place { networks: self, network, own: Some(own) })
    }

    /// A place of `network`'s, if one is free.
    pub(super) fn try_take(&self, network: IpAddr) -> Option<Place<'_>> {
        let own = self.of(network).try_acquire_owned().ok()?;
        Some(Place { networks: self, network, own: Some(own) })
    }

    fn of(&self, network: IpAddr) -> Arc<Semaphore> {
        let mut taken = self.taken.lock();
        // Not at each turn.
        if taken.len() >= MANY {
            taken.retain(|_, places| Arc::strong_count(places) > 1);
        }
        Arc::clone(taken.entry(network).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken.lock().is_empty()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.networks.taken.lock();
        self.own = None;
        if taken.get(&self.network).is_some_and(|places| Arc::strong_count(places) == 1) {
            taken.remove(&self.network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_network_has_its_places_and_no_other_networks() {
        let networks = Networks::new(2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let held = [networks.take(one).await.unwrap(), networks.try_take(one).unwrap()];
        assert!(networks.try_take(one).is_none());
        let third = networks.try_take(other).unwrap();
        drop(held);
        drop((networks.try_take(one).unwrap(), third));
        assert!(networks.is_empty());
    }
}
