//! TCP connect: a target answers when it completes the handshake. A refusal proves the path but not the service: it is an
//! answer, but a wrong one, and counts as not received.

use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Protocol, SockRef, Type};
use tokio::net::TcpSocket;

use super::lookup::Lookup;
use super::socket::{Way, answer_of};
use super::{Answer, Boxed, IcmpPool, NotReady, Prober, Question};
use crate::push::trust::Times;

pub(super) fn make(question: &Question, way: &Way, _: &Arc<IcmpPool>, _: &Times) -> Option<Arc<dyn Prober>> {
    let Question::Tcp(peer) = question else { return None };
    Some(Arc::new(Tcp { lookup: Lookup::new(&peer.host), port: peer.port, way: way.clone() }))
}

struct Tcp {
    lookup: Lookup,
    port: u16,
    way: Way,
}

impl Prober for Tcp {
    fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
        Box::pin(async {
            self.way.prove(self.lookup.family()).map_err(NotReady::Fault)?;
            self.lookup.find().await.map(|_| ())
        })
    }

    fn attempt(&self) -> Boxed<'_, Answer> {
        Box::pin(async {
            let Some(address) = self.lookup.latest() else {
                return Answer::Bad("its name was not found".into());
            };
            match connect(&self.way, SocketAddr::new(address, self.port)).await {
                Ok(_) => Answer::Good(None),
                Err(answer) => answer,
            }
        })
    }
}

/// Connects by a way. The connection is reset rather than closed when dropped, so that neither side keeps TIME-WAIT state for
/// a connection that carried nothing.
pub(super) async fn connect(way: &Way, peer: SocketAddr) -> Result<tokio::net::TcpStream, Answer> {
    let family = if peer.is_ipv4() { crate::config::Family::V4 } else { crate::config::Family::V6 };
    let socket = way.open(family, Type::STREAM, Some(Protocol::TCP)).map_err(Answer::Fault)?;
    let stream =
        TcpSocket::from_std_stream(socket.into()).connect(peer).await.map_err(|error| answer_of(&error))?;
    // Only a kindness to the peer: nothing is lost when it cannot be set.
    let _ = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
    Ok(stream)
}
