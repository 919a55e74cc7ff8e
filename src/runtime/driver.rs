//! The loop of the network thread: sockets to node, node to sockets and queue.
//!
//! In: readiness of the sockets, the node's deadline, answers of the resolver, the
//! wake-ups of handle calls. Out: datagrams sent, events pushed, names looked up.
//! Invariants: one turn takes at most `RECV_BUDGET` datagrams and one batch, then
//! timers, then `OUTPUT_BATCH` outputs and as many transmits that cannot wait, then sends
//! `SEND_BUDGET_BYTES`; nothing can starve the rest. While outputs wait nothing is received,
//! so that datagrams that cause many cannot pile them up. While a socket is blocked, sessions
//! that go by the network's pace are not asked for more. The node's lock is held for one run
//! of datagrams, or one batch of outputs, or `TRANSMIT_BYTES`. Events are taken
//! under the node's lock and pushed after it is released, by this thread alone. The
//! thread sleeps until there is something to do: idle, that is the node's deadline, news of interfaces,
//! and their poll for the LAN source or where no news comes. `run` returns after `Closed` was pushed, or when the
//! swarm failed.

use crate::config::{Config, limits};
use crate::error::{Code, Error, Result};
use crate::log;
use crate::node::api::Level;
use crate::node::{Event, Output, Transmit, Via};
use crate::runtime::clock;
use crate::runtime::interfaces;
use crate::runtime::lan::Lan;
use crate::runtime::resolver::{Answer, Resolver};
use crate::runtime::shared::Shared;
use crate::runtime::socket::{Received, Socket};
use crate::runtime::udp::Bound;
use crate::runtime::watch::Watch;
use std::future::{Future, poll_fn};
use std::io;
use std::iter;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// The timers of the event loop are not finer than this.
const TIMER_STEP: Duration = Duration::from_millis(1);

pub struct Driver {
    shared: Arc<Shared>,
    v4: Option<Socket>,
    v6: Option<Socket>,
    lan: Option<Lan>,
    watch: Watch,
    /// Addresses that the main sockets are bound to.
    bound: Vec<IpAddr>,
    resolver: Resolver,
    answers: Vec<Answer>,
    received: Received,
    outputs: Vec<Output>,
    events: Vec<Event>,
    transmits: Vec<Transmit>,
    scratch: Vec<u8>,
    accepting: bool,
    /// The node has more outputs than one turn takes.
    behind: bool,
    /// The node reads no more of its peers until the queue has room.
    held_back: bool,
    next_poll: Option<Instant>,
    end_by: Option<Instant>,
}

/// What one turn found.
struct Turn {
    /// There is more to do right now.
    busy: bool,
    ended: bool,
}

impl Driver {
    /// Puts the sockets into the event loop and tells the node of its interfaces. To be called inside the runtime.
    pub fn new(shared: Arc<Shared>, bound: Bound, config: &Config) -> Result<Driver> {
        let register = |socket: Option<std::net::UdpSocket>| -> Result<Option<Socket>> {
            let made = socket.map(|socket| Socket::new(socket, shared.io.clone())).transpose();
            made.map_err(|e: io::Error| Error::new(Code::Internal, format!("a UDP socket could not be set up: {e}")))
        };
        let addresses = bound.addresses();
        let (v4, v6) = (register(bound.v4)?, register(bound.v6)?);
        let lan = config.lan.then(|| Lan::new(config.lan_interfaces.clone(), shared.io.clone()));
        let watch = Watch::new(shared.io.clone());
        let mut driver = Driver {
            shared,
            v4,
            v6,
            lan,
            watch,
            bound: addresses,
            resolver: Resolver::new(),
            answers: Vec::new(),
            received: Received::new(),
            outputs: Vec::new(),
            events: Vec::new(),
            transmits: Vec::new(),
            scratch: Vec::new(),
            accepting: true,
            behind: false,
            held_back: false,
            next_poll: None,
            end_by: None,
        };
        // Before the first call of the application: its first join already has the interfaces to send by.
        driver.read_interfaces(clock::now().mono);
        Ok(driver)
    }

    /// Runs until the swarm has ended.
    pub async fn run(mut self) {
        let shared = self.shared.clone();
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            let turn = self.turn();
            if turn.ended {
                return;
            }
            match if turn.busy { None } else { rest(&shared) } {
                // The event loop looks at all sockets before the next turn.
                None => tokio::task::yield_now().await,
                Some(deadline) => self.wait(deadline, &shared, sleep.as_mut()).await,
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let mut busy = !self.behind && self.receive();
        let now = self.shared.clock.read().mono;
        self.look_at_interfaces(now);
        self.behind = self.advance();
        busy |= self.behind;
        let closed = self.carry_out();
        // Asked again with the events of this turn in it: it is now that the queue has room for more, or rings later.
        busy |= self.held_back && self.shared.queue.room() > 0;
        busy |= self.send();
        Turn { busy, ended: closed || self.shared.failed() || self.overdue(now) }
    }

    /// Takes datagrams from all sockets, one batch each in turn. Returns whether there may be more.
    fn receive(&mut self) -> bool {
        let mut taken = 0usize;
        loop {
            let before = taken;
            let now = self.shared.clock.now().mono;
            for socket in [&mut self.v4, &mut self.v6].into_iter().flatten() {
                let count = socket.recv(&mut self.received, now);
                taken = taken.saturating_add(count);
                if count > 0 {
                    deliver(&self.shared, &mut self.received);
                }
            }
            if let Some(lan) = &mut self.lan {
                for v4 in [true, false] {
                    taken = taken.saturating_add(receive_lan(&self.shared, lan, v4, &mut self.received, now));
                }
            }
            if taken == before {
                return false;
            }
            if taken >= limits::RECV_BUDGET {
                return true;
            }
        }
    }

    /// Lets the node act on time and answers, and takes its outputs. Returns whether it has more.
    fn advance(&mut self) -> bool {
        let accepting = self.shared.queue.connections_allowed();
        let changed = accepting != self.accepting;
        self.accepting = accepting;
        let (answers, outputs, transmits) = (&mut self.answers, &mut self.outputs, &mut self.transmits);
        let events = &mut self.events;
        let shared = &self.shared;
        let room = shared.queue.room();
        let result = shared.with_node(|node, now| {
            shared.look();
            node.set_room(room);
            if changed {
                node.set_accepting(now, accepting);
            }
            for answer in answers.drain(..) {
                node.handle_resolved(now, answer.query, answer.result);
            }
            if node.poll_deadline().is_some_and(|deadline| deadline <= now.mono) {
                node.handle_timeout(now);
            }
            let mut taken = 0usize;
            while taken < limits::OUTPUT_BATCH
                && let Some(output) = node.poll_output(now)
            {
                taken = taken.saturating_add(1);
                match output {
                    // Nearly all are events; each move of one counts.
                    Output::Event(event) => events.push(event),
                    // Among the events, in their order.
                    other => match node.tell_outside(other) {
                        Output::Event(event) => events.push(event),
                        other => outputs.push(other),
                    },
                }
            }
            transmits.extend(iter::from_fn(|| node.poll_transmit(now, false)).take(limits::OUTPUT_BATCH));
            (taken.max(transmits.len()) >= limits::OUTPUT_BATCH, node.is_held_back())
        });
        // A failed swarm has no more; the turn ends it.
        let (more, held_back) = result.unwrap_or((false, false));
        self.held_back = held_back;
        more
    }

    /// Carries out what the node wanted. Returns whether it said its last word.
    fn carry_out(&mut self) -> bool {
        let closed = self.events.iter().any(|event| matches!(event, Event::Closed { .. }));
        for output in self.outputs.drain(..) {
            match output {
                Output::Event(event) => self.events.push(event),
                // They have become events.
                Output::Round { .. } | Output::CancelRound { .. } | Output::Unannounce { .. } => {}
                Output::Resolve { query, host, port } => self.resolver.start(query, host, port),
                Output::Log { level, text } => log::write(level, &text),
            }
        }
        if !self.events.is_empty() {
            self.shared.queue.push_all(self.events.drain(..));
        }
        closed
    }

    /// Sends what was taken, then what sessions have for a network that has room. Returns whether they may have more.
    fn send(&mut self) -> bool {
        self.flush();
        let mut budget = limits::SEND_BUDGET_BYTES;
        while !self.is_blocked() {
            let (transmits, main) = (&mut self.transmits, [&mut self.v4, &mut self.v6]);
            let taken = self.shared.with_node(|node, now| {
                main.into_iter().flatten().flat_map(Socket::take_spent).for_each(|buffer| node.recycle(buffer));
                let mut bytes = 0usize;
                while bytes < limits::TRANSMIT_BYTES && transmits.len() < limits::OUTPUT_BATCH {
                    let Some(transmit) = node.poll_transmit(now, true) else { return (bytes, false) };
                    bytes = bytes.saturating_add(transmit.bytes.len());
                    transmits.push(transmit);
                }
                (bytes, true)
            });
            // A failed swarm has nothing to send; the turn ends it.
            let (bytes, more) = taken.unwrap_or((0, false));
            self.flush();
            budget = budget.saturating_sub(bytes);
            // Who has no more is not asked again at once: a pacer would give one datagram each time.
            if !more || budget == 0 {
                return more;
            }
        }
        // The socket wakes the thread when there is room.
        false
    }

    fn is_blocked(&self) -> bool {
        [&self.v4, &self.v6].into_iter().flatten().any(Socket::is_blocked)
    }

    /// Hands the transmits that were taken to their sockets, and sends what those take.
    fn flush(&mut self) {
        let mut transmits = std::mem::take(&mut self.transmits);
        for transmit in transmits.drain(..) {
            self.queue(transmit);
        }
        self.transmits = transmits;
        for socket in [&mut self.v4, &mut self.v6].into_iter().flatten() {
            socket.flush(&mut self.scratch);
        }
    }

    fn queue(&mut self, transmit: Transmit) {
        match (transmit.via, &mut self.lan) {
            (Via::Lan { interface }, Some(lan)) => return lan.send(interface, transmit.to, &transmit.bytes),
            (Via::Lan { .. }, None) => {}
            (Via::Main, _) => {
                let socket = if transmit.to.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
                if let Some(socket) = socket {
                    return socket.queue(transmit);
                }
            }
        }
        self.shared.io.send_dropped.fetch_add(transmit.count() as u64, Ordering::Relaxed);
    }

    /// Reads the list of interfaces when something changed, or may have.
    fn look_at_interfaces(&mut self, now: Instant) {
        let asked = self.shared.network_changed.swap(false, Ordering::AcqRel);
        let told = self.watch.take(now);
        // Awake for something else, it is done early: an idle swarm wakes for its beacons and for nothing beside.
        let early = limits::INTERFACE_POLL / 2;
        let due = self.next_poll.is_some_and(|next| next.saturating_duration_since(now) <= early);
        if asked || told || due {
            self.read_interfaces(now);
        }
    }

    fn read_interfaces(&mut self, now: Instant) {
        let polled = self.lan.is_some() || !self.watch.is_open();
        self.next_poll = now.checked_add(limits::INTERFACE_POLL).filter(|_| polled);
        let all = match interfaces::list() {
            Ok(all) => all,
            Err(e) => return log::write(Level::Warn, &format!("the list of interfaces could not be read: {e}")),
        };
        let addresses = interfaces::addresses(&all, &self.bound);
        let lan = self.lan.as_mut().and_then(|lan| lan.set_interfaces(&all));
        // Without a node to tell the swarm has failed, and the turn ends it.
        let _ = self.shared.with_node(|node, now| {
            node.handle_addresses(now, &addresses);
            if let Some(list) = lan {
                node.handle_interfaces(now, list);
            }
        });
    }

    /// Whether the node had its time to close and did not.
    fn overdue(&mut self, now: Instant) -> bool {
        if !self.shared.closing.load(Ordering::Acquire) {
            return false;
        }
        let patience = limits::CLOSE_DEADLINE.saturating_add(limits::CLOSE_GRACE);
        let end_by = *self.end_by.get_or_insert_with(|| now.checked_add(patience).unwrap_or(now));
        // Hundreds of thousands of messages that had arrived are handed over batch by batch, and the ends of peers behind them.
        if now < end_by || self.shared.with_node(|node, _| node.has_ended()).unwrap_or(false) {
            return false;
        }
        let detail = format!("the swarm did not close within {} ms and was ended", patience.as_millis());
        self.shared.queue.push(Event::Closed { code: Some(Code::Internal), detail });
        true
    }

    /// Sleeps until a socket, a handle call, an answer or the clock asks for a turn.
    async fn wait(&mut self, deadline: Option<Instant>, shared: &Shared, mut sleep: Pin<&mut Sleep>) {
        let sockets = [&self.v4, &self.v6].into_iter().flatten();
        let pauses = sockets.filter_map(Socket::paused_until).chain(self.lan.iter().filter_map(Lan::paused_until));
        let next = [deadline, self.next_poll, self.watch.due(), self.end_by].into_iter().flatten().chain(pauses).min();
        if let Some(next) = next {
            // Never now or in the past: a deadline that does not move must not become a busy loop.
            let soonest = shared.clock.now().mono.checked_add(TIMER_STEP);
            let at = soonest.map_or(next, |soonest| next.max(soonest));
            sleep.as_mut().reset(at.into());
        }
        let mut woken = pin!(shared.wake.notified());
        poll_fn(|context| {
            // Everything is polled each time, so that everything may wake this task.
            let mut ready = woken.as_mut().poll(context).is_ready();
            if next.is_some() {
                ready |= sleep.as_mut().poll(context).is_ready();
            }
            for socket in [&mut self.v4, &mut self.v6].into_iter().flatten() {
                ready |= socket.poll_ready(context);
            }
            if let Some(lan) = &mut self.lan {
                ready |= lan.poll_ready(context);
            }
            ready |= self.watch.poll_ready(context);
            while let Poll::Ready(answer) = self.resolver.poll_answer(context) {
                self.answers.push(answer);
                ready = true;
            }
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Lets the thread sleep until the deadline that is returned. None: a call of the application came in between.
fn rest(shared: &Shared) -> Option<Option<Instant>> {
    // A failed swarm has nothing to wait for; the next turn ends it.
    shared.with_node(|node, _| shared.may_sleep().then(|| node.poll_deadline())).unwrap_or(None)
}

/// Gives the node what came from a main socket. The lock is free between two runs, for handle calls that wait.
fn deliver(shared: &Shared, received: &mut Received) {
    for (_, datagrams) in received.runs() {
        // A failed swarm takes nothing in; the turn ends it.
        let _ = shared.with_node(|node, now| node.handle_datagrams(now, datagrams));
    }
}

fn receive_lan(shared: &Shared, lan: &mut Lan, v4: bool, received: &mut Received, now: Instant) -> usize {
    lan.recv(v4, received, now, |datagrams| {
        let _ = shared.with_node(|node, now| node.handle_datagrams(now, datagrams));
    })
}
