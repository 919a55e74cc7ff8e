//! One modern connection: QUIC, its control exchange, and what flows over it.
//!
//! `work` takes what QUIC reports, reads and writes streams, and leaves `Progress` for the owner,
//! who decides whether a session that could begin may begin (`admit`). Nothing of the
//! application is read before that. A link ends once: the owner gets the reason, QUIC stays
//! until the close is through.
//! `life` notices what is heard of the peer and keeps the connection alive.
//! Inputs: QUIC events, time, calls of the application. Outputs: `Progress`, datagrams.

mod life;

use super::close::{Close, Lost, Reason};
use super::congestion;
use super::endpoint::Endpoint;
use super::exchange::{Bindings, Exchange, Lent, Told};
use super::flow::{Flow, Shared};
use crate::config::limits::QUIC_SETUP_TIMEOUT;
use crate::crypto::path::PathKeys;
use crate::crypto::tls::{self, Export, Suite};
use crate::crypto::topic::Role;
use crate::node::api::{Family, PeerId, PeerInfo, Session, Source};
use crate::path::session::Paths;
use crate::timers::earlier;
use life::Heard;
use quinn_proto::{Connection, ConnectionEvent, ConnectionHandle};
use quinn_proto::{Dir, Event, ReadError, Side, StreamId, WriteError};
use std::net::SocketAddr;
use std::time::Instant;

/// The type of the control stream.
const CONTROL_STREAM: u8 = 0;
/// Above everything else.
const CONTROL_PRIORITY: i32 = 2;

/// How our dial came about.
#[derive(Debug, Clone)]
pub struct Dialled {
    /// The key that must answer, if it is known.
    pub expected: Option<[u8; 32]>,
    /// The application named the address or the key.
    pub explicit: bool,
    /// The v12 session that this one is to go on with.
    pub continues: Option<PeerId>,
}

/// What the owner is told of a link.
#[derive(Debug)]
pub enum Progress {
    /// The peer's key is known: the owner lets the exchange begin with `let_in` and, where we dialled, `greet`, or
    /// ends the link.
    Met,
    /// Both sides agreed; the session begins if the owner admits it.
    Ready,
    /// About topics, addresses, the legacy id.
    Told(Told),
    /// It ended: by the peer, the network, or (with what goes over the wire) by us.
    Ended(Lost),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until both sides agreed; has to be done by then.
    Setup(Instant),
    /// Agreed, and waiting for proofs that must come first, or for the owner; at the latest until then.
    Waiting(Instant),
    Open,
    /// What waits is sent, until then.
    Closing(Instant),
    /// Told, and QUIC is winding up.
    Ended,
}

pub struct Link {
    pub handle: ConnectionHandle,
    pub conn: Box<Connection>,
    pub role: Role,
    pub source: Source,
    pub started: Instant,
    /// The address it began on, which QUIC goes on to believe in.
    pub label: SocketAddr,
    pub dial: Option<Dialled>,
    pub key: Option<[u8; 32]>,
    suite: Suite,
    pub peer: Option<PeerId>,
    pub exchange: Option<Exchange>,
    pub paths: Option<Paths>,
    /// It is among those that are asked for datagrams.
    pub sends: bool,
    pub bytes_sent: u64,
    /// The exchange waits for the owner.
    held: bool,
    /// Its part of the bytes that wait for all peers, as last counted.
    pub counted: usize,
    flow: Option<Flow>,
    opened: Option<Instant>,
    stage: Stage,
    control: Option<StreamId>,
    control_begun: bool,
    /// Control frames beyond what the peer may ask for are read again then.
    control_pause: Option<Instant>,
    /// Something has to be heard by then.
    life_by: Option<Instant>,
    heard: Heard,
    /// The first probe for larger packets was held back.
    spared: bool,
    /// Our application ended it: what is unread goes with it.
    left: bool,
    /// The peer is banned: it closes when its legacy id is proven, so that the ban holds for that too.
    banned: bool,
    /// Nothing of the peer is heard any more, and this will be the reason of the end.
    barred: Option<Reason>,
}

impl Link {
    pub fn new(handle: ConnectionHandle, conn: Connection, label: SocketAddr, source: Source, now: Instant) -> Link {
        let role = match conn.side() {
            Side::Client => Role::Dialler,
            Side::Server => Role::Acceptor,
        };
        Link {
            handle,
            conn: Box::new(conn),
            role,
            source,
            started: now,
            label,
            dial: None,
            key: None,
            suite: Suite::ChaCha20Poly1305,
            peer: None,
            exchange: None,
            paths: None,
            sends: false,
            bytes_sent: 0,
            held: false,
            counted: 0,
            flow: None,
            opened: None,
            stage: Stage::Setup(now + QUIC_SETUP_TIMEOUT),
            control: None,
            control_begun: false,
            control_pause: None,
            life_by: None,
            heard: Heard::new(now),
            spared: false,
            left: false,
            banned: false,
            barred: None,
        }
    }

    pub fn handle_event(&mut self, event: ConnectionEvent) {
        self.conn.handle_event(event);
    }

    /// A datagram of this length under one of its connection ids came from there. It need not be authentic.
    pub fn heard_from(&mut self, from: SocketAddr, bytes: usize, now: Instant) {
        if let Some(paths) = &mut self.paths {
            paths.datagram_from(from, bytes, now);
        }
    }

    /// Where its datagrams go now.
    pub fn destination(&self) -> SocketAddr {
        self.paths.as_ref().map_or(self.label, Paths::current)
    }

    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Closing(_))
    }

    pub fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Setup(_) | Stage::Waiting(_))
    }

    /// Its addresses are looked after: it is connected and not over.
    pub fn minds_paths(&self) -> bool {
        self.paths.is_some() && self.stage != Stage::Ended
    }

    /// QUIC is through with it.
    pub fn is_drained(&self) -> bool {
        self.conn.is_drained()
    }

    /// The owner admitted it: the session begins. `send_buffer`: bytes of messages that may wait.
    pub fn open(&mut self, peer: PeerId, send_buffer: usize, now: Instant) {
        let max_message = self.exchange.as_ref().map_or(0, Exchange::max_message);
        self.peer = Some(peer);
        self.stage = Stage::Open;
        self.opened = Some(now);
        self.flow = Some(Flow::new(send_buffer, max_message));
    }

    /// The exchange may begin.
    pub fn let_in(&mut self) {
        self.held = false;
    }

    /// The exchange waits for the owner.
    pub fn is_held(&self) -> bool {
        self.held && self.is_pending()
    }

    /// Says HELLO to whom we dialled, and shows the topics at once or when their HELLO was looked at.
    pub fn greet(&mut self, lent: &mut Lent<'_>, show: bool) {
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| !exchange.has_begun()) {
            exchange.begin(lent, show);
        }
    }

    /// It has said HELLO to this key and goes on.
    pub fn is_greeting(&self, key: &[u8; 32]) -> bool {
        let begun = self.exchange.as_ref().is_some_and(Exchange::has_begun);
        self.role == Role::Dialler && self.is_pending() && self.key == Some(*key) && begun
    }

    /// Reads and writes what flows, if the session is open.
    pub fn run_flow(&mut self, now: Instant, index: usize, shared: &mut Shared<'_>, out: &mut Vec<Progress>) {
        let open = self.is_open() && self.barred.is_none();
        let (Some(flow), Some(peer), true) = (&mut self.flow, self.peer, open) else { return };
        let result = flow.work(&mut self.conn, now, index, peer, shared);
        // What a graceful end waits for may just have come.
        if let Err(reason) = result.and_then(|()| self.overdue(now)) {
            self.end(now, reason, out);
        }
    }

    /// Where the application's data goes, and the connection; none: it is not open, or closing.
    pub fn flow(&mut self) -> Option<(&mut Flow, &mut Connection)> {
        self.flow.as_mut().filter(|_| self.stage == Stage::Open).map(|flow| (flow, &mut *self.conn))
    }

    /// It is over: what had arrived is read still; the rest is given up. Returns the tags of messages that may not have arrived.
    pub fn end_flow(&mut self, now: Instant, index: usize, peer: PeerId, shared: &mut Shared<'_>) -> Vec<u64> {
        let Some(mut flow) = self.flow.take() else { return Vec::new() };
        if self.barred.is_none() {
            flow.last_words(&mut self.conn, now, index, peer, shared);
        }
        flow.give_up(&mut self.conn, peer, !self.left, shared)
    }

    /// Our application ends it, and reads its streams no more.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// A message of it waits for room that other sessions hold.
    pub fn is_starved(&self) -> bool {
        self.flow.as_ref().is_some_and(Flow::is_starved)
    }

    pub fn buffered(&self) -> usize {
        self.flow.as_ref().map_or(0, Flow::buffered)
    }

    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Ended || self.flow.as_ref().is_none_or(Flow::is_idle)
    }

    /// Data of the application went both ways.
    pub fn went_both_ways(&self) -> bool {
        self.flow.as_ref().is_some_and(Flow::went_both_ways)
    }

    /// What is known of the peer, once it is one.
    pub fn info(&self) -> Option<PeerInfo> {
        let (id, exchange, paths, flow) =
            (self.peer?, self.exchange.as_ref()?, self.paths.as_ref()?, self.flow.as_ref()?);
        let mut addresses: Vec<SocketAddr> = paths.info().iter().map(|path| path.address).collect();
        addresses.dedup();
        let stats = self.conn.stats();
        let lost = stats.path.lost_packets.saturating_mul(1_000).checked_div(stats.path.sent_packets).unwrap_or(0);
        Some(PeerInfo {
            id,
            key: self.key,
            legacy_id: exchange.legacy_id(),
            session: Session::Quic,
            suite: Some(self.suite),
            topics: Vec::new(),
            explicit: exchange.is_explicit(),
            address: paths.current(),
            addresses,
            source: self.source,
            family: Family::Unknown,
            confirmed: true,
            client: self.role == Role::Dialler,
            rtt: Some(self.conn.rtt()),
            loss_permille: u32::try_from(lost).unwrap_or(1_000).min(1_000),
            bytes_sent: self.bytes_sent,
            bytes_received: stats.udp_rx.bytes,
            messages_sent: flow.moved.messages_sent,
            messages_received: flow.moved.messages_received,
            datagrams_dropped: flow.datagrams_dropped(),
            buffered: flow.buffered(),
            connect_time: self.opened.unwrap_or(self.started).saturating_duration_since(self.started),
            max_message: usize::try_from(exchange.max_message()).unwrap_or(usize::MAX),
        })
    }

    /// What waits is sent, at the latest until `until`; then it closes. `banned`: not before the peer's legacy id is proven.
    pub fn close_gracefully(&mut self, until: Instant, banned: bool) {
        self.leave();
        self.banned |= banned;
        if self.stage == Stage::Open {
            if let Some(flow) = &mut self.flow {
                flow.finish();
            }
            self.stage = Stage::Closing(until);
        }
    }

    /// The peer is banned: nothing is said or heard any more. Closes when its legacy id is proven, at the latest at `until`.
    pub fn bar(&mut self, until: Instant, reason: Reason) {
        self.close_gracefully(until, true);
        self.barred = Some(reason);
    }

    /// Closes now. The owner has told, or is about to tell, whom it concerns.
    pub fn close(&mut self, now: Instant, reason: &Reason) {
        if self.stage != Stage::Ended {
            self.stage = Stage::Ended;
            congestion::release(&self.conn);
            self.conn.close(now, reason.close.number(), reason.wire_text());
        }
    }

    /// Takes what happened. What was left by the bounds of the control stream follows at `deadline`. `has_place`: whether
    /// who dialled us with this key may go on.
    pub fn work(
        &mut self,
        now: Instant,
        own_key: &[u8; 32],
        has_place: &dyn Fn(&[u8; 32]) -> bool,
        lent: &mut Lent<'_>,
        endpoint: &mut Endpoint,
        out: &mut Vec<Progress>,
    ) {
        self.conn_timeout(now);
        let mut told = Vec::new();
        let result = self.events(now, own_key, has_place, endpoint, out);
        let result = result.and_then(|()| self.control(now, lent, &mut told));
        for told in told {
            match told {
                Told::Ready => {
                    if let Stage::Setup(until) = self.stage {
                        self.stage = Stage::Waiting(until);
                    }
                }
                told => out.push(Progress::Told(told)),
            }
        }
        let result = result.and_then(|()| self.overdue(now));
        if let Err(reason) = result {
            self.end(now, reason, out);
        }
        self.listen(now);
        if self.life_by.is_some_and(|until| until <= now) && self.stage != Stage::Ended {
            let reason = Reason::new(Close::TimedOut, "nothing came from it any more");
            self.close(now, &reason);
            let Reason { close, text } = reason;
            out.push(Progress::Ended(Lost { code: close.code(), reason: text, close: None, redial: true }));
        }
        if matches!(self.stage, Stage::Waiting(_)) && self.may_begin() {
            out.push(Progress::Ready);
        }
    }

    /// What a session that continues another one waits for has come.
    fn may_begin(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| !exchange.continues() || exchange.legacy_id().is_some())
    }

    /// Ends it from our side, once.
    pub fn end(&mut self, now: Instant, reason: Reason, out: &mut Vec<Progress>) {
        if self.stage != Stage::Ended {
            self.close(now, &reason);
            let Reason { close, text } = reason;
            out.push(Progress::Ended(Lost { code: close.code(), reason: text, close: Some(close), redial: false }));
        }
    }

    /// When `work` is to be called, if nothing else happens before.
    pub fn deadline(&mut self) -> Option<Instant> {
        let mut at = self.conn.poll_timeout();
        if self.stage != Stage::Ended {
            at = earlier(at, self.control_pause);
            at = earlier(at, self.life_by);
            at = earlier(at, self.exchange.as_ref().and_then(Exchange::poll_deadline));
            at = earlier(at, self.paths.as_ref().and_then(Paths::poll_deadline));
            at = earlier(at, self.flow.as_ref().and_then(Flow::poll_deadline));
        }
        let own = match self.stage {
            Stage::Setup(until) | Stage::Waiting(until) | Stage::Closing(until) => Some(until),
            Stage::Open => Some(self.keep_alive_at()),
            Stage::Ended => None,
        };
        earlier(at, own)
    }

    fn conn_timeout(&mut self, now: Instant) {
        if self.conn.poll_timeout().is_some_and(|at| at <= now) {
            self.conn.handle_timeout(now);
        }
    }

    fn events(
        &mut self,
        now: Instant,
        own_key: &[u8; 32],
        has_place: &dyn Fn(&[u8; 32]) -> bool,
        endpoint: &mut Endpoint,
        out: &mut Vec<Progress>,
    ) -> Result<(), Reason> {
        loop {
            let mut idle = true;
            while let Some(event) = self.conn.poll_endpoint_events() {
                idle = false;
                if let Some(answer) = endpoint.handle_event(self.handle, event) {
                    self.conn.handle_event(answer);
                }
            }
            while let Some(event) = self.conn.poll() {
                idle = false;
                if self.stage == Stage::Ended {
                    continue;
                }
                match event {
                    Event::Connected => self.connected(now, own_key, has_place, out)?,
                    Event::ConnectionLost { reason } => {
                        self.stage = Stage::Ended;
                        out.push(Progress::Ended(Lost::from_error(&reason)));
                    }
                    Event::Stream(event) => {
                        if let Some(flow) = &mut self.flow {
                            flow.stream_event(event);
                        }
                    }
                    Event::DatagramsUnblocked => {
                        if let Some(flow) = &mut self.flow {
                            flow.datagrams_unblocked();
                        }
                    }
                    // Datagrams and the control stream are looked at whenever something happened.
                    Event::DatagramReceived | Event::HandshakeDataReady => {}
                }
            }
            if idle {
                return Ok(());
            }
        }
    }

    /// The handshake is done: the peer holds the key it showed.
    fn connected(
        &mut self,
        now: Instant,
        own_key: &[u8; 32],
        has_place: &dyn Fn(&[u8; 32]) -> bool,
        out: &mut Vec<Progress>,
    ) -> Result<(), Reason> {
        let peer = tls::peer(&self.conn).ok_or_else(|| Reason::protocol("the peer shows no Ed25519 certificate"))?;
        let key = peer.key;
        self.suite = peer.suite;
        self.key = Some(key);
        if key == *own_key {
            return Err(Reason::new(Close::SelfMet, "the address is our own, or of another swarm with the same seed"));
        }
        if self.role == Role::Acceptor && !has_place(&key) {
            return Err(Reason::new(Close::Refused, "no place: all are taken"));
        }
        let export = |what| {
            tls::exporter(&self.conn, what).ok_or_else(|| Reason::protocol("the handshake gives no keying material"))
        };
        let bindings = Bindings { topic: export(Export::Topic)?, legacy: export(Export::Legacy)? };
        let (dialler, acceptor) = (export(Export::PathDialler)?, export(Export::PathAcceptor)?);
        let keys = match self.role {
            Role::Dialler => PathKeys::new(*dialler, *acceptor),
            Role::Acceptor => PathKeys::new(*acceptor, *dialler),
        };
        self.paths = Some(Paths::new(keys, self.label, now));
        let (explicit, continues) =
            self.dial.as_ref().map_or((false, false), |dial| (dial.explicit, dial.continues.is_some()));
        if self.role == Role::Dialler {
            let control = self.conn.streams().open(Dir::Bi);
            self.control = Some(control.ok_or_else(|| Reason::protocol("the peer allows no stream"))?);
        }
        self.held = true;
        out.push(Progress::Met);
        self.exchange = Some(Exchange::new(self.role, bindings, explicit, continues, now));
        Ok(())
    }

    /// Reads and writes the control stream.
    fn control(&mut self, now: Instant, lent: &mut Lent<'_>, told: &mut Vec<Told>) -> Result<(), Reason> {
        let Some(exchange) = self.exchange.as_mut().filter(|_| self.stage != Stage::Ended) else { return Ok(()) };
        if self.held || self.role == Role::Dialler && !exchange.has_begun() {
            return Ok(());
        }
        if self.control.is_none() {
            // Streams come in their order: the first of the dialler is the control stream.
            self.control = self.conn.streams().accept(Dir::Bi);
        }
        let Some(id) = self.control else { return Ok(()) };
        if self.role == Role::Dialler && !self.control_begun {
            self.control_begun = true;
            // It may fail only on a connection that is being closed.
            let _ = self.conn.send_stream(id).set_priority(CONTROL_PRIORITY);
            exchange.output().insert(0, CONTROL_STREAM);
        }
        exchange.refresh(lent)?;
        self.control_pause = None;
        loop {
            let most = match exchange.allowance(now) {
                Ok(most) => most,
                Err(at) => {
                    self.control_pause = Some(at);
                    break;
                }
            };
            if exchange.is_behind() {
                exchange.receive(&[], lent, told)?;
                continue;
            }
            let mut stream = self.conn.recv_stream(id);
            let Ok(mut chunks) = stream.read(true) else { return Err(Reason::protocol("the control stream is gone")) };
            let bytes = match chunks.next(most) {
                Ok(Some(chunk)) => chunk.bytes,
                Ok(None) | Err(ReadError::Reset(_)) => return Err(Reason::protocol("the control stream ended")),
                Err(ReadError::Blocked) => break,
            };
            drop(chunks);
            let mut bytes = bytes.as_ref();
            if self.role == Role::Acceptor && !self.control_begun {
                self.control_begun = true;
                let _ = self.conn.send_stream(id).set_priority(CONTROL_PRIORITY);
                match bytes.split_first() {
                    Some((&CONTROL_STREAM, rest)) => bytes = rest,
                    _ => return Err(Reason::protocol("the first stream is not the control stream")),
                }
            }
            exchange.receive(bytes, lent, told)?;
        }
        exchange.refresh(lent)?;
        let output = exchange.output();
        if !output.is_empty() {
            match self.conn.send_stream(id).write(output) {
                Ok(written) => {
                    output.drain(..written);
                }
                Err(WriteError::Blocked) => {}
                Err(_) => return Err(Reason::protocol("the control stream was stopped")),
            }
        }
        Ok(())
    }

    fn overdue(&mut self, now: Instant) -> Result<(), Reason> {
        match self.stage {
            Stage::Setup(until) | Stage::Waiting(until) if until <= now => {
                Err(Reason::new(Close::TimedOut, "the first exchange did not finish in time"))
            }
            Stage::Closing(until) if until <= now || self.is_done() => {
                let barred = self.barred.clone();
                Err(barred.unwrap_or_else(|| Reason::new(Close::Closed, "closed by this side")))
            }
            _ => Ok(()),
        }
    }

    /// A graceful end waits for nothing any more.
    fn is_done(&self) -> bool {
        let linking = self.banned && self.exchange.as_ref().is_some_and(Exchange::expects_legacy);
        !linking && (self.barred.is_some() || self.is_idle())
    }
}
