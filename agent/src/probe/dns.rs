//! DNS: one query over our own UDP socket, so that exactly one packet is asked and timed; the resolver of the system, with its
//! retries and caches, would measure itself.
//!
//! Each query has its own socket, so its own random source port, and a random id (RFC 5452); only an answer from the asked
//! server with this id and this question is taken. A truncated answer is asked again over TCP (RFC 7766).

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use socket2::{Protocol, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use wan_settings::probes::RCODES;

use super::lookup::Lookup;
use super::socket::{Way, answer_of};
use super::{Answer, Boxed, IcmpPool, NotReady, Prober, Question, tcp};
use crate::config::{DnsConfig, Family};
use crate::push::trust::Times;

/// The largest answer over UDP without EDNS is 512 bytes; servers that send more are heard out.
const LARGEST_UDP: usize = 4096;

pub(super) fn make(question: &Question, way: &Way, _: &Arc<IcmpPool>, _: &Times) -> Option<Arc<dyn Prober>> {
    let Question::Dns(config) = question else { return None };
    Some(Arc::new(Dns {
        lookup: Lookup::new(&config.server.host),
        config: (**config).clone(),
        way: way.clone(),
    }))
}

struct Dns {
    lookup: Lookup,
    config: DnsConfig,
    way: Way,
}

impl Prober for Dns {
    fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
        Box::pin(async {
            self.way.prove(self.lookup.family()).map_err(NotReady::Fault)?;
            self.lookup.find().await.map(|_| ())
        })
    }

    fn attempt(&self) -> Boxed<'_, Answer> {
        Box::pin(async { self.ask().await.unwrap_or_else(|answer| answer) })
    }
}

impl Dns {
    async fn ask(&self) -> Result<Answer, Answer> {
        let address =
            self.lookup.latest().ok_or_else(|| Answer::Bad("the server's name was not found".into()))?;
        let server = SocketAddr::new(address, self.config.server.port);
        let id: u16 = rand::random();
        let (asked, query) = build(&self.config, id).map_err(Answer::Fault)?;
        let family = if server.is_ipv4() { Family::V4 } else { Family::V6 };
        let socket = self.way.open(family, Type::DGRAM, Some(Protocol::UDP)).map_err(Answer::Fault)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(|error| answer_of(&error))?;
        socket.connect(server).await.map_err(|error| answer_of(&error))?;
        socket.send(&query).await.map_err(|error| answer_of(&error))?;
        let mut buffer = [0; LARGEST_UDP];
        let answer = loop {
            let length = socket.recv(&mut buffer).await.map_err(|error| answer_of(&error))?;
            // What is not the answer to this query is passed over: it may be forged or late.
            if let Some(answer) = parse(&buffer[..length], id, &asked) {
                break answer;
            }
        };
        let answer = if answer.metadata.truncation {
            self.ask_over_tcp(server, &query, id, &asked).await?
        } else {
            answer
        };
        Ok(judge(&answer, &self.config))
    }

    async fn ask_over_tcp(
        &self,
        server: SocketAddr,
        query: &[u8],
        id: u16,
        asked: &Query,
    ) -> Result<Message, Answer> {
        let mut stream = tcp::connect(&self.way, server).await?;
        let length = u16::try_from(query.len()).map_err(|_| Answer::Fault("the query is too long".into()))?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(query);
        stream.write_all(&framed).await.map_err(|error| answer_of(&error))?;
        let length = stream.read_u16().await.map_err(|error| answer_of(&error))?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.map_err(|error| answer_of(&error))?;
        parse(&answer, id, asked)
            .ok_or_else(|| Answer::Bad("the answer over TCP is not to this query".into()))
    }
}

fn build(config: &DnsConfig, id: u16) -> Result<(Query, Vec<u8>), String> {
    let mut name = Name::from_ascii(&config.name).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    let record = RecordType::from_str(&config.record).map_err(|error| error.to_string())?;
    let query = Query::query(name, record);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let bytes = message.to_vec().map_err(|error| error.to_string())?;
    Ok((query, bytes))
}

/// The answer in `bytes` when it is one to this query.
fn parse(bytes: &[u8], id: u16, asked: &Query) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let metadata = &message.metadata;
    let is_answer = metadata.id == id && metadata.message_type == MessageType::Response;
    // Some servers leave the question out of a refusal; any other question is not ours.
    let same_question = message.queries.iter().all(|query| {
        query.name() == asked.name()
            && query.query_type() == asked.query_type()
            && query.query_class() == asked.query_class()
    });
    (is_answer && same_question).then_some(message)
}

fn judge(message: &Message, config: &DnsConfig) -> Answer {
    let rcode = rcode_name(message.metadata.response_code);
    if rcode != config.expect_rcode {
        return Answer::Bad(format!("{rcode} where {} is expected", config.expect_rcode));
    }
    let data: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
    match &config.expect_answer {
        Some(expected) if !data.iter().any(|found| same(found, expected)) => {
            Answer::Bad(format!("`{expected}` is not among the answers ({})", shorten(&data)))
        }
        Some(_) | None => Answer::Good(Some(if data.is_empty() { rcode } else { shorten(&data) })),
    }
}

/// Record data is compared without regard to case, closing dots or the quotes of texts.
fn same(found: &str, expected: &str) -> bool {
    let plain = |text: &str| text.trim_matches('"').trim_end_matches('.').to_ascii_lowercase();
    plain(found) == plain(expected)
}

fn shorten(data: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if data.len() > SHOWN { format!(" and {} more", data.len() - SHOWN) } else { String::new() };
    format!("{}{more}", data.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))
}

fn rcode_name(code: ResponseCode) -> String {
    let number = u16::from(code);
    RCODES
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| format!("RCODE{number}"), |(name, _)| (*name).into())
}

#[cfg(test)]
mod tests {
    use wan_settings::probes::RECORD_TYPES;

    use super::*;

    #[test]
    fn every_record_type_that_can_be_configured_can_be_asked_for() {
        for record in RECORD_TYPES {
            assert!(RecordType::from_str(record).is_ok(), "{record}");
        }
    }
}
