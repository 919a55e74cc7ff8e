//! `setowire_swarm_listen`, `_suspend`, `_resume`, `_close_now`, `_state`, and the firewall.

use super::guard::guard;
use super::handle;
use super::pointer;
use super::{setowire_swarm, setowire_swarm_state_details};

/// Lets others find this swarm by its key, with setowire_swarm_join_peer() or setowire_swarm_connect_peer(). Joining a
/// topic that is not private as server does that too, unless the option "accept_explicit" is off. Calling it again changes
/// nothing.
///
/// @param swarm  The swarm; not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_listen(swarm: *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_listen", || {
        handle::get(swarm)?.listen()?;
        Ok(0)
    })
}

/// Ends all connections. Until setowire_swarm_resume() nothing is announced, looked up or dialled, and nobody is let in.
/// Topics and peers joined by key stay joined. Calling it again changes nothing.
///
/// @param swarm  The swarm; not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_suspend(swarm: *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_suspend", || {
        handle::get(swarm)?.suspend()?;
        Ok(0)
    })
}

/// Goes on after setowire_swarm_suspend(): every topic is announced and looked up, peers joined by key are dialled. Without a
/// suspension it changes nothing.
///
/// @param swarm  The swarm; not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_resume(swarm: *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_resume", || {
        handle::get(swarm)?.resume()?;
        Ok(0)
    })
}

/// Ends a swarm as setowire_swarm_close() does, but at once: what is queued is not waited for, and announcements are not
/// taken back. Also while it is being closed. Goodbyes still leave.
///
/// @param swarm  The swarm; not NULL.
/// @return As for setowire_swarm_close().
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_close_now(swarm: *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_close_now", || {
        handle::get(swarm)?.close_now();
        Ok(0)
    })
}

/// Tells how far a swarm is, and what its dials and connections came to.
///
/// @param swarm  The swarm; not NULL.
/// @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_state(
    swarm: *mut setowire_swarm,
    out: *mut setowire_swarm_state_details,
) -> i32 {
    let read = || {
        let (status, stats) = handle::get(swarm)?.status();
        Ok(setowire_swarm_state_details {
            struct_size: 0,
            open: status.open,
            listening: status.listening,
            suspended: status.suspended,
            reserved: 0,
            connecting: status.connecting as u64,
            connections: status.connections as u64,
            known: status.known as u64,
            queued: status.queued as u64,
            explicit_peers: status.explicit as u64,
            updates: stats.updates,
            client_attempted: stats.client_attempted,
            client_opened: stats.client_opened,
            client_closed: stats.client_closed,
            server_opened: stats.server_opened,
            server_closed: stats.server_closed,
            banned: stats.banned,
        })
    };
    // SAFETY: the header asks for a struct of the size that it says.
    guard("setowire_swarm_state", || unsafe { pointer::fill(out, read) })
}

/// Switches the firewall on or off: whether the application is asked about each peer before it is dialled, and when it
/// dials us, by an ASK event. Switch it on before topics are joined, or with the option "firewall". Off: questions that are
/// open stay so, bans too.
///
/// @param swarm  The swarm; not NULL.
/// @param on     Whether to ask.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_set_firewall(swarm: *mut setowire_swarm, on: bool) -> i32 {
    guard("setowire_swarm_set_firewall", || {
        handle::get(swarm)?.set_firewall(on)?;
        Ok(0)
    })
}

/// Answers the question of an ASK event, in a callback or later, on any thread.
///
/// @param swarm     The swarm; not NULL.
/// @param question  What setowire_event_question() gave.
/// @param allow     True: this peer may be dialled, or let in, or is a candidate. False: it may not, and unless the purpose
///                  is "candidate" it is banned.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it was answered, or it is too late),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_answer(swarm: *mut setowire_swarm, question: u64, allow: bool) -> i32 {
    guard("setowire_swarm_answer", || {
        handle::get(swarm)?.answer(question, allow)?;
        Ok(0)
    })
}
