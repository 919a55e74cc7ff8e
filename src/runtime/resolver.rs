//! Name look-ups by the system's resolver.
//!
//! In: a host name and a port under the node's number. Out: the addresses or a
//! sentence, under the same number, exactly once.
//! Invariants: at most `RESOLVER_CONCURRENT` look-ups run (each holds a thread while
//! the system works) and `RESOLVER_WAITING` wait; a further one fails at once. A
//! look-up that never ends holds its thread and nothing else.

use crate::config::limits;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The answer to one look-up.
pub struct Answer {
    pub query: u64,
    pub result: Result<Vec<SocketAddr>, String>,
}

pub struct Resolver {
    running: usize,
    waiting: VecDeque<(u64, String, u16)>,
    send: mpsc::UnboundedSender<Answer>,
    receive: mpsc::UnboundedReceiver<Answer>,
}

impl Resolver {
    pub fn new() -> Resolver {
        let (send, receive) = mpsc::unbounded_channel();
        Resolver { running: 0, waiting: VecDeque::new(), send, receive }
    }

    /// Begins a look-up. To be called inside the runtime.
    pub fn start(&mut self, query: u64, host: String, port: u16) {
        if self.running < limits::RESOLVER_CONCURRENT {
            self.run(query, host, port);
        } else if self.waiting.len() < limits::RESOLVER_WAITING {
            self.waiting.push_back((query, host, port));
        } else {
            let reason = format!("{} name look-ups wait already", limits::RESOLVER_WAITING);
            // Counted like a look-up that runs, because its answer is taken off again.
            self.running = self.running.saturating_add(1);
            let _ = self.send.send(Answer { query, result: Err(reason) });
        }
    }

    /// The next answer. Without one, the task is woken when there is.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        match self.receive.poll_recv(context) {
            Poll::Ready(Some(answer)) => {
                self.running = self.running.saturating_sub(1);
                if self.running < limits::RESOLVER_CONCURRENT
                    && let Some((query, host, port)) = self.waiting.pop_front()
                {
                    self.run(query, host, port);
                }
                Poll::Ready(answer)
            }
            // The sender lives as long as the receiver: the channel is never closed.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn run(&mut self, query: u64, host: String, port: u16) {
        self.running = self.running.saturating_add(1);
        let send = self.send.clone();
        tokio::spawn(async move {
            let result = match tokio::net::lookup_host((host.as_str(), port)).await {
                Ok(found) => Ok(found.collect::<Vec<_>>()),
                Err(e) => Err(format!("{host:?} could not be resolved: {e}")),
            };
            // The receiver is gone when the swarm has ended meanwhile.
            let _ = send.send(Answer { query, result });
        });
    }
}
