//! Every limit of the library: name, unit in the name, default, reason.
//!
//! What a peer can make us store, compute or send is bounded by a constant here,
//! per peer and in total. Options that an application may change have their
//! default here too; `config::Config` holds the value in force.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

// ---- The v12 wire (values of the existing peers, see docs/protocol.md) ----

/// Bytes of application payload in one DATA frame that stays inside a 1,200-byte datagram.
pub const V12_SMALL_PAYLOAD: usize = 1_163;
/// Largest payload of one DATA frame: a UDP datagram over IPv4 holds 65,507 bytes, 33 are the frame's.
pub const V12_MAX_PAYLOAD: usize = 65_474;
/// Largest payload for a Rust peer, which reads 4,096 bytes of a datagram and no more.
pub const V12_RUST_MAX_PAYLOAD: usize = 4_063;
/// Bytes of data in one clear fragment.
pub const V12_FRAG_DATA: usize = 1_188;
/// Fragments of one message: 1 MiB of message, what old peers can send in a burst is a tenth of it.
pub const V12_FRAG_MAX_TOTAL: u16 = 883;
/// Fragment sets being put together for one peer at a time; an old sender interleaves at most a few.
pub const V12_FRAG_SETS_PER_PEER: usize = 4;
/// Bytes of unfinished fragment sets over all peers: 16 MiB, a tenth of what 100 hostile peers could ask for.
pub const V12_FRAG_TOTAL_BYTES: usize = 16 << 20;
/// A fragment set that is not complete by then is dropped (the old peers' own time).
pub const V12_FRAG_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a value in one CHUNK (the old peers' number).
pub const V12_CHUNK_DATA: usize = 900;

/// A PING to every connected v12 peer in this period; old peers open their window with our answers and ours with theirs.
pub const V12_PING_PERIOD: Duration = Duration::from_secs(1);
/// PINGs of one peer that are answered at once, and per second: it sends one per second to each of our addresses, and
/// anyone may forge a BATCH of hundreds.
pub const V12_PONG_BURST: u32 = 16;
pub const V12_PONGS_PER_SECOND: u32 = 16;
/// A peer that was silent for so long is gone (the old peers' own time).
pub const V12_PEER_TIMEOUT: Duration = Duration::from_secs(60);
/// After a GOAWAY, anyone could have sent it: PINGs in this period decide.
pub const V12_GOAWAY_PROBE_PERIOD: Duration = Duration::from_millis(250);
/// Unanswered PINGs in a row after a GOAWAY that end the connection.
pub const V12_GOAWAY_PROBES: u32 = 3;
/// Peers closed before their first PONG that are owed a GOAWAY, and how long it is waited for: several round trips.
pub const GOODBYES_OWED: usize = 64;
pub const GOODBYE_WAIT: Duration = Duration::from_secs(3);
/// A peer that still answers so long after its GOAWAY never sent it (old peers close their socket after 2 s).
pub const V12_GOAWAY_DOUBT: Duration = Duration::from_secs(4);
/// Confirmed peers whose last session is remembered after a disconnect, so that a replay stays a replay.
pub const V12_REMEMBERED_SESSIONS: usize = 512;

/// HELLOs of one dial: with two PROBEs beside them the dial budget of an address is used up.
pub const DIAL_TRIES: u32 = 6;
/// PROBEs of a dial that only our own kind may answer: five of 64 bytes stay inside the dial budget.
pub const DIAL_PROBES: u32 = 5;
/// How long a PROBE is waited for before the first HELLO: a round trip across an ocean and back.
pub const DIAL_GRACE: Duration = Duration::from_millis(150);
/// PROBEs before the first HELLO, `DIAL_PERIOD` apart, where somebody announced a key: most likely our own kind, who answers
/// late. With six HELLOs they stay inside the dial budget.
pub const DIAL_ANNOUNCED_PROBES: u32 = 2;
/// How long the proof of a legacy id waits, unless a v12 session is to go on with the modern one or theirs comes before. Its
/// key agreement takes a tenth of the time of both sides for a connect (measured), and nobody waits for it.
pub const LEGACY_PROOF_DELAY: Duration = Duration::from_millis(10);
/// Of two v12 peers of our own kind one begins the change to the modern session; the other waits so long for it.
pub const UPGRADE_WAIT: Duration = Duration::from_secs(2);
/// A v12 session that a modern one goes on with still takes in what is on its way, for so long.
pub const V12_RETIRED_LIFE: Duration = Duration::from_secs(3);
/// Time between two HELLOs, or two PROBEs, of one dial.
pub const DIAL_PERIOD: Duration = Duration::from_millis(300);
/// A dial is over, without an answer, so long after its last HELLO.
pub const DIAL_PATIENCE: Duration = Duration::from_secs(3);
/// Dials in progress at one time, over all sources.
pub const DIALS_MAX: usize = 256;
/// Of these, dials begun because a beacon, a source or a peer named the address, which anyone can do: the rest is for the
/// application, its seeds and its cache.
pub const DIALS_HEARD_MAX: usize = 192;

/// Entries of peers that have not answered anything of ours yet; the oldest goes first. In a flood of 10,000 HELLOs per
/// second an entry lives for 200 ms, long enough for an answer; all of them hold half a MiB.
pub const UNCONFIRMED_MAX: usize = 2_048;
/// Of these, entries from one IP address.
pub const UNCONFIRMED_PER_IP: usize = 16;
/// An unconfirmed entry is dropped after this time.
pub const UNCONFIRMED_LIFE: Duration = Duration::from_secs(10);
/// Bytes that we may owe a stranger: what he sent us counts up to this.
pub const UNCONFIRMED_CREDIT_BYTES: usize = 512;

/// HELLO answers to strangers per second, over all addresses: 20,000 cost 0.8 MB/s and no key agreement. Fewer would
/// let a flood of forged HELLOs shut out everybody else.
pub const HELLO_ACKS_PER_SECOND: u32 = 20_000;
/// Key agreements for DATA of strangers per second: 1,000 cost a twentieth of a core. Who is not served is known by his PONG.
pub const STRANGER_OPENS_PER_SECOND: u32 = 1_000;
/// HELLO answers to one address at once (a burst), refilled at a quarter of it per second.
pub const HELLO_ACKS_PER_IP: u32 = 32;
/// Source addresses whose HELLO rate is remembered.
pub const HELLO_SOURCES: usize = 1_024;

// ---- setowire/13 ----

/// Bytes of the body of one frame of the control stream: 2,048 topic tags.
pub const CONTROL_FRAME_BYTES: usize = 65_536;
/// Own addresses told to a peer at one time: four of each family.
pub const ADDRS_TOLD: usize = 8;
/// Bytes of a broadcast over the mesh, which every member of a topic may have to keep for others.
pub const MESH_PAYLOAD_BYTES: usize = 1 << 20;
/// Bytes of the body of one frame of the mesh stream: a payload and room for what is said about it.
pub const MESH_FRAME_BYTES: usize = MESH_PAYLOAD_BYTES + 512;
/// Messages named in one digest or asked for at one time: 6 KiB of ids.
pub const MESH_IDS_PER_FRAME: usize = 256;
/// Bytes of a peer's certificate: ours has 215, and nobody needs twenty times as many around a key of 32.
pub const CERTIFICATE_BYTES: usize = 4_096;
/// Links of a topic that get messages at once when they come up; more become so by asking. With so few in all, own
/// messages go to each of them.
pub const MESH_EAGER: usize = 6;
/// Topics that one broadcast of a whole swarm is sent to, each with a signature of its own.
pub const MESH_TOPICS: usize = 16;
/// Links that a broadcast crosses, one after the other: a thousand peers with few links each are six apart.
pub const MESH_HOPS: u8 = 16;
/// How long ids of messages are gathered for a digest.
pub const MESH_HAVE_DELAY: Duration = Duration::from_millis(100);
/// How long an announced message is waited for before it is asked for: it likely comes by itself, over a faster link.
pub const MESH_PULL_DELAY: Duration = Duration::from_millis(200);
/// How long an answer is waited for before another peer is asked: 1 MiB at 4 Mbit/s.
pub const MESH_PULL_RETRY: Duration = Duration::from_secs(2);
/// Peers remembered as having one message that we lack.
pub const MESH_HOLDERS: usize = 8;
/// Messages that we lack because one peer was the first to announce them, and over all peers.
pub const MESH_MISSING_PER_LINK: usize = 1_024;
pub const MESH_MISSING: usize = 16_384;
/// Recent broadcasts kept for peers that missed them: bytes, number, time (what a dead link takes to be noticed, twice).
pub const MESH_STORE_BYTES: usize = 16 << 20;
pub const MESH_STORE_MESSAGES: usize = 1_024;
pub const MESH_STORE_TIME: Duration = Duration::from_secs(120);
/// Peers that left within this time and get what they missed when they return.
pub const MESH_DEPARTED: usize = 64;
/// How long the id of a broadcast is remembered, and how far back from the newest of its author it may be.
pub const MESH_MEMORY: Duration = Duration::from_secs(600);
/// Ids remembered; 27 a second for all of that time. An entry has 150 bytes.
pub const MESH_SEEN: usize = 16_384;
/// Authors whose newest message is remembered, so that older ones cannot be played again.
pub const MESH_AUTHORS: usize = 4_096;
/// Bytes that wait for one peer before broadcasts go there by id only, and over all peers.
pub const MESH_QUEUE_BYTES: usize = 256 << 10;
pub const MESH_QUEUE_TOTAL_BYTES: usize = 64 << 20;
/// Ids that wait to be announced to one peer: all that are kept.
pub const MESH_DIGEST_IDS: usize = MESH_STORE_MESSAGES;
/// Signatures verified per second for one peer, and at once: each takes 50 microseconds, a tenth of a core in all.
pub const MESH_LINK_CHECKS: u32 = 2_000;
/// The same over all peers: two fifths of a core.
pub const MESH_CHECKS: u32 = 8_000;
/// Bytes of mesh frames taken from one peer per second, and at once. Above it the peer waits, nothing is lost.
pub const MESH_LINK_BYTES_PER_SECOND: u32 = 16 << 20;
pub const MESH_LINK_BURST_BYTES: u32 = 16 << 20;
/// Forged messages after which a connection is closed: honest peers verify before they pass on.
pub const MESH_FORGED: u32 = 8;
/// Broadcasts per second that we make, and at once; the application is told to wait.
pub const MESH_PUBLISH_PER_SECOND: u32 = 500;
pub const MESH_PUBLISH_BURST: u32 = 1_000;
/// The same in bytes: each goes to every member of its topic.
pub const MESH_PUBLISH_BYTES_PER_SECOND: u32 = 4 << 20;
pub const MESH_PUBLISH_BURST_BYTES: u32 = 8 << 20;
/// What one author may say; more is not passed on. Twice what our own kind does, for messages that arrive in a heap.
pub const MESH_AUTHOR_PER_SECOND: u32 = 2 * MESH_PUBLISH_PER_SECOND;
pub const MESH_AUTHOR_BURST: u32 = 2 * MESH_PUBLISH_BURST;
pub const MESH_AUTHOR_BYTES_PER_SECOND: u32 = 2 * MESH_PUBLISH_BYTES_PER_SECOND;
pub const MESH_AUTHOR_BURST_BYTES: u32 = 2 * MESH_PUBLISH_BURST_BYTES;
/// Bytes of one message that we take from a modern peer (option `max_message`): it is put together in memory. What is
/// larger, or has no known end, belongs on a stream.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// What the option may be: less than 1 KiB is of no use, more than 64 MiB is a file.
pub const MAX_MESSAGE_LOW: usize = 1 << 10;
pub const MAX_MESSAGE_HIGH: usize = 64 << 20;
// ---- Streams, messages and datagrams of setowire/13 ----

/// Bytes of one stream a peer may send before we read them: 20 MB/s at a round trip of 100 ms.
pub const QUIC_STREAM_WINDOW: u32 = 2 << 20;
/// Bytes of all streams of a connection: messages and mesh may both wait for the application and the control stream still
/// flows. Each open stream of the application adds its own window, see `QUIC_WINDOWS_TOTAL_BYTES`.
pub const QUIC_CONNECTION_WINDOW: u32 = 2 * QUIC_STREAM_WINDOW + (512 << 10);
/// Windows of streams of the applications, over all peers: 128 of them may be full and unread. Without room for another one its
/// bytes count against what the connection has.
pub const QUIC_WINDOWS_TOTAL_BYTES: usize = 256 << 20;
/// What a stream whose connection ended counts beside its bytes, until it was read: its entry in a table, bytes.
pub const QUIC_UNREAD_COST_BYTES: usize = 512;
/// Bytes that QUIC keeps until a peer acknowledges them: messages and streams have a share each, and the mesh and the control
/// stream what is left, so that none shuts out the others.
pub const QUIC_SEND_WINDOW: u64 = 16 << 20;
/// The share of messages: twice what the peer's window lets in.
pub const QUIC_MESSAGES_IN_FLIGHT: usize = 4 << 20;
/// The share of the application's streams, and of one of them: as much as the peer's window lets in.
pub const QUIC_STREAMS_IN_FLIGHT: usize = 8 << 20;
pub const QUIC_STREAM_IN_FLIGHT: usize = QUIC_STREAM_WINDOW as usize;
/// Bytes of one stream taken beyond what QUIC takes, so that it never waits for the application.
pub const QUIC_STREAM_WAITING: usize = 64 << 10;
/// Bytes of one block in which small writes are gathered (measured: fifteen times faster than each on its own).
pub const QUIC_GATHER_BYTES: usize = 16 << 10;
/// Larger messages are not copied into such a block, nor are larger transmits into a buffer of their size.
pub const QUIC_COPY_BYTES: usize = 4 << 10;
/// Bytes of a large message that are given to QUIC as one piece.
pub const QUIC_SEGMENT_BYTES: usize = 64 << 10;
/// Pieces of one stream with QUIC, beyond which small writes wait to become larger ones: it looks through all of them for
/// each packet, 256 take 0.2 us.
pub const QUIC_GATHER_SEGMENTS: u64 = 256;
/// Streams a peer may have open at first: 16 and the control stream; messages, mesh and two of kinds to come.
pub const QUIC_STREAMS_BIDI: u32 = 17;
pub const QUIC_STREAMS_UNI: u32 = 4;
/// The application's streams of one connection, opened by us and by the peer; who uses his gets more, up to here. 256 take 100 KiB.
pub const QUIC_STREAMS_MAX: u32 = 256;
/// Bytes of one datagram of the application: fits in a packet on every path.
pub const QUIC_DATAGRAM_BYTES: usize = 1_150;
/// Bytes of datagrams kept for the network and for us: 800 of the largest.
pub const QUIC_DATAGRAM_SEND_BYTES: usize = 1 << 20;
pub const QUIC_DATAGRAM_RECEIVE_BYTES: usize = 1 << 20;
/// A connection on which nothing came for so long is gone.
pub const QUIC_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest QUIC packet that is looked for, bytes. Within a host and where a network has frames of 9,000, bulk data costs
/// two thirds of what packets of 1,452 bytes do (measured). The search halves what lies between 1,200 and this, and so tries
/// 1,452, which Ethernet takes with IPv6 too, and 8,760 for frames of 9,000.
pub const QUIC_PACKET_BYTES: u16 = 9_264;
/// The search ends at steps smaller than this, bytes: every byte of a probe is looked at by the peer, and of the connects of a
/// hundred peers on one host a third of the processor went into probes, most of them for the last few bytes (measured).
pub const QUIC_PACKET_STEP_BYTES: u16 = 252;
/// How long after its beginning a session sends no probe for larger packets: the first ones have 5,232 and 7,248 bytes and
/// cost more than a tenth of a connect (measured). With bulk data the search begins as soon as three packets have arrived, else
/// after QUIC's own patience, which is longer than this.
pub const QUIC_SEARCH_DELAY: Duration = Duration::from_millis(20);
/// Bytes of a handshake that arrive before those in front of them: certificates have 300.
pub const QUIC_CRYPTO_BYTES: usize = 16 << 10;

/// Bytes of messages that are being put together, over all peers: eight of the default largest size.
pub const REASSEMBLY_TOTAL_BYTES: usize = 128 << 20;
/// A message up to this size needs nothing of it: one per peer, which is 6 MiB for a hundred.
pub const REASSEMBLY_FREE_BYTES: usize = 64 << 10;
/// Who holds room for a large message has to send `REASSEMBLY_PACE_BYTES` of it in each such period: 2 kB/s.
pub const REASSEMBLY_PATIENCE: Duration = Duration::from_secs(30);
pub const REASSEMBLY_PACE_BYTES: usize = 64 << 10;

/// Addresses kept for one session: as many as a peer may name at one time.
pub const PATH_ADDRS: usize = ADDRS_TOLD;
/// Beside these, addresses that datagrams came from and that have not answered yet. Anyone who copies datagrams can
/// fill these places, so they are no others' places.
pub const PATH_SEEN: usize = 4;
/// Of these, so many per peer are taken in per second; each then gets `PATH_SEEN_TRIES` challenges.
pub const PATH_SEEN_PER_SECOND: u32 = 10;
/// One that sends too little to pay for a challenge, which is as long as two of QUIC's smallest packets, is forgotten after
/// this: QUIC repeats what is not acknowledged several times in it.
pub const PATH_SEEN_LIFE: Duration = Duration::from_secs(10);
/// While an address sends that is not in use, datagrams or probes, it and the one in use are asked in this period for either.
pub const PATH_CONTEST_PERIOD: Duration = Duration::from_secs(1);
/// For probes that go on and on it doubles so many times: where a round trip takes a second, the probes of both sides would be
/// each other's reason for ever.
pub const PATH_CONTEST_DOUBLINGS: u32 = 4;
/// Named addresses taken in, or tried anew, at once and per second: two whole lists, then one address a second. A peer
/// could otherwise let us send challenges to all the world.
pub const PATH_NAMED_BURST: u32 = 16;
pub const PATH_NAMED_PER_SECOND: u32 = 1;
/// Challenges of one peer that are answered at once, and per second: a search of its sends at most 120. One that was
/// recorded can be sent again at any rate; a thousand answers are 44 kB/s and 3 ms of a core.
pub const PATH_ANSWERS_BURST: u32 = 100;
pub const PATH_ANSWERS_PER_SECOND: u32 = 1_000;
/// Nothing authentic for three round trips while we send, but not less and not more than this: the path is doubted. Less
/// than 250 ms are lost packets and late acknowledgements; more than 3 s nobody waits for.
pub const PATH_SILENCE_MIN: Duration = Duration::from_millis(250);
pub const PATH_SILENCE_MAX: Duration = Duration::from_secs(3);
/// Where a host calls us late, what comes waits to be read as well, at the peer's perhaps too: silence is waited for so many
/// times as much longer, until as many times as much time has passed. More than the second number is not a busy host but
/// one that slept. 200 swarms on two cores took each other's lateness for silence and sent 450 session probes a second each
/// (measured).
pub const PATH_LATE_TIMES: u32 = 4;
pub const PATH_LATE_MAX: Duration = Duration::from_millis(1_000);
/// Calls that follow each other faster than this are not late.
pub const PATH_LATE_LEAST: Duration = Duration::from_millis(20);
/// While addresses answer and QUIC is silent all the same, the silence waited for doubles up to so many times.
pub const PATH_SILENCE_DOUBLINGS: u32 = 4;
/// Waits between challenges to an address that does not answer; the last one repeats.
pub const PATH_STEPS_MS: [u64; 5] = [100, 100, 150, 200, 250];
/// After so long a search asks once in `PATH_SEARCH_PERIOD`: the network is gone, not the path.
pub const PATH_SEARCH_FAST: Duration = Duration::from_secs(5);
pub const PATH_SEARCH_PERIOD: Duration = Duration::from_secs(1);
/// A search without an answer ends after this, unless data waits for it.
pub const PATH_SEARCH_LIFE: Duration = Duration::from_secs(10);
/// Challenges to an address that a datagram came from: they take a second and outlive a loss of 20 %.
pub const PATH_SEEN_TRIES: u32 = 6;
/// The same to a named one, outside of a search: of the nine that the dial budget allows in 10 s, a search keeps six.
pub const PATH_NAMED_TRIES: u32 = 3;
/// Signs of progress in a row after which a silence is looked into although we wait for nothing: a transfer, not a message.
pub const PATH_RUN: u32 = 8;
/// Datagrams kept while the path is in doubt, for the path that is switched to: what one probe timeout of QUIC sends.
pub const PATH_KEPT: usize = 2;
/// The address in use has one and a half round trips and this time to answer before another one is used.
pub const PATH_PATIENCE: Duration = Duration::from_millis(20);
/// The same in all, at most; a challenge more if the connection is not silent: what is left of a second when the silence before it is counted.
pub const PATH_PATIENCE_MAX: Duration = Duration::from_millis(500);
/// Addresses that are not in use and answer are asked in this period while the connection moves data, which tells their
/// round trip and finds a dead one before it is needed.
pub const PATH_BUSY_PERIOD: Duration = Duration::from_secs(5);
/// It moves data, and is not only kept alive or told of topics and addresses, with so many signs of progress in that time:
/// of a hundred peers that are merely connected, none is asked every 5 s.
pub const PATH_BUSY_SIGNS: u32 = 16;
/// The same on a quiet connection: NATs forget a mapping after 30 s.
pub const PATH_IDLE_PERIOD: Duration = Duration::from_secs(25);
/// Of these, so many are asked, the fastest: two that live are enough, and a swarm has many peers.
pub const PATH_WARM: usize = 2;
/// An address that stops answering counts as a back-up for so long.
pub const PATH_BACKUP_KEPT: Duration = Duration::from_secs(3);
/// It is asked so many times in this time.
pub const PATH_BACKUP_TRIES: u32 = 4;
/// Switches to a faster address while the present one works: at most one in this time.
pub const PATH_BETTER_PERIOD: Duration = Duration::from_secs(30);
/// Faster is faster by this and by a fifth; less is noise.
pub const PATH_BETTER_BY: Duration = Duration::from_millis(5);
/// Answers an address must have given before it is compared.
pub const PATH_BETTER_SAMPLES: u32 = 3;
/// An answer later than this is none.
pub const PATH_ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Challenges to one address that wait for an answer.
pub const PATH_IN_FLIGHT: usize = 8;

/// Bytes of our QUIC connection ids: enough that nobody guesses one.
pub const QUIC_CID_BYTES: usize = 8;
/// Connection ids remembered per connection: quinn-proto has at most eight in use, as many may be on their way out.
pub const QUIC_CIDS_PER_CONNECTION: usize = 16;
/// QUIC datagrams per second that name no connection of ours: each costs a key derivation of some 10 us. Fewer would let
/// a flood of forged ones shut out everybody else.
pub const QUIC_FIRST_PACKETS_PER_SECOND: u32 = 20_000;
/// Handshakes accepted per second from addresses that are proven: each costs 0.3 ms, so this is about a core.
pub const QUIC_ACCEPTS_PER_SECOND: u32 = 2_500;
/// Of these, while all places are taken, so many from IP addresses where no peer of ours is: only the handshake tells a peer
/// that comes back after a crash, and takes the place of its own old session, from a stranger. A hundredth of a core.
pub const QUIC_RETURNING_PER_SECOND: u32 = 32;
/// Connections of others that have not proven a topic yet, in all and from one IP address.
pub const QUIC_PENDING_MAX: usize = 256;
pub const QUIC_PENDING_PER_IP: usize = 64;
/// PROBEs answered per second, over all addresses, and to one IP address at once (a quarter of it per second): an answer
/// is smaller than the question and costs 2 us; many peers may share an address.
pub const PROBE_ACKS_PER_SECOND: u32 = 20_000;
pub const PROBE_ACKS_PER_IP: u32 = 1_024;
/// Handshake and first exchange on the control stream have to be done by then.
pub const QUIC_SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Dials of what was discovered that are in their handshake at one time: at first, at least, at most. A hundred peers of one
/// machine with two cores that all dial each other took 82 s with 128 each (measured; ADR 0013); on a good line four are
/// soon 64.
pub const HANDSHAKES_START: usize = 4;
pub const HANDSHAKES_LEAST: usize = 2;
pub const HANDSHAKES_MOST: usize = 64;
/// A handshake that takes longer makes them fewer: three round trips to the other side of the world.
pub const HANDSHAKE_BRISK: Duration = Duration::from_secs(1);
/// A handshake that is not done after so long holds up no other: who answers PROBEs and nothing else would.
pub const HANDSHAKE_HELD: Duration = Duration::from_secs(3);
/// When a connection is refused for the sake of an older one with the same key, the older one has to show life
/// within this time: three probes of QUIC on a link of 100 ms.
pub const QUIC_RIVAL_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the reason in a close.
pub const CLOSE_REASON_BYTES: usize = 200;
/// Bytes of control frames taken from a peer at once and per second; TOPICS and ASK count `CONTROL_TOPICS_COST` more each,
/// because a code or two are computed for all joined topics. What is beyond waits.
pub const CONTROL_BURST_BYTES: u32 = 256 << 10;
pub const CONTROL_BYTES_PER_SECOND: u32 = 64 << 10;
pub const CONTROL_TOPICS_COST: u32 = 4 << 10;
/// Bytes of our own control frames that may wait for a peer that does not read them.
pub const CONTROL_SEND_BYTES: usize = 256 << 10;
/// After a keep-alive without traffic the next one comes later: quick to notice a loss while something goes on, then within
/// the 30 s for which home routers keep a mapping.
pub const KEEP_ALIVE_SECONDS: [u64; 3] = [5, 12, 25];
/// Bytes of mesh frames that may wait for a peer: what does not fit is offered again later.
pub const MESH_SEND_BYTES: usize = 2 << 20;
/// What a message or datagram counts in the event queue beside its data, bytes: with it empty ones fill the queue too.
pub const EVENT_COST_BYTES: usize = 64;
/// Links between a key and a legacy id that are remembered, and for how long.
pub const PROVEN_LINKS: usize = 4_096;
pub const PROVEN_LINK_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Addresses where we met ourselves that are remembered.
pub const MIRRORS: usize = 64;
/// An address where we met ourselves is not dialled again for this time.
pub const SELF_MET_LIFE: Duration = Duration::from_secs(600);

// ---- Sequence numbers, replay, sending ----

/// Counters behind the newest that are still told apart; older ones are replays.
pub const REPLAY_WINDOW: u64 = 2_048;
/// Authentication tags remembered across counter resets of a peer whose counter starts over.
pub const REPLAY_TAGS: usize = 256;
/// Sender prefixes of ended sessions remembered per peer.
pub const REPLAY_PREFIXES: usize = 8;
/// Frames waiting for a missing one before them, per peer.
pub const JITTER_MAX_FRAMES: usize = 256;
/// Bytes of these, per peer.
pub const JITTER_MAX_BYTES: usize = 1 << 20;
/// How long they wait: two repeats of a lost frame by our own sender fit.
pub const JITTER_WAIT: Duration = Duration::from_millis(150);

/// Bytes an application may have queued to one peer (option `send_buffer`).
pub const SEND_BUFFER_BYTES: usize = 4 << 20;
/// Messages an application may have queued to one peer.
pub const SEND_BUFFER_MESSAGES: usize = 4_096;
/// Bytes of messages that one call of `send_many` queues, which is how far it may go beyond the limits: at most 0.1 ms under the
/// lock, and many times what it takes to make the call cheap.
pub const SEND_MANY_BYTES: usize = 128 << 10;
/// What each message counts there beside its own bytes.
pub const SEND_MANY_COST_BYTES: usize = 64;
/// Bytes queued over all peers at which such a call is refused too: twice `SEND_BUFFER_TOTAL_BYTES`, so that what a program has
/// gathered for 500 peers before it is told finds room.
pub const SEND_MANY_TOTAL_BYTES: usize = 128 << 20;
/// Bytes queued over all peers.
pub const SEND_BUFFER_TOTAL_BYTES: usize = 64 << 20;
/// Datagrams sent to a v12 peer at once before pacing begins.
pub const PACE_BURST: u32 = 32;
/// Lowest, first and highest sending rate to one v12 peer, datagrams per second; it follows the loss of our PINGs.
pub const PACE_MIN_PER_SECOND: u32 = 64;
pub const PACE_START_PER_SECOND: u32 = 512;
pub const PACE_MAX_PER_SECOND: u32 = 4_096;
/// Bytes per second to one v12 peer, and at once: an old peer's socket buffer holds about 200 kB.
pub const PACE_BYTES_PER_SECOND: u32 = 4 << 20;
pub const PACE_BURST_BYTES: u32 = 128 << 10;
/// Bytes of sent frames kept for a repeat, per peer.
pub const REPEAT_MAX_BYTES: usize = 256 << 10;

// ---- Addresses ----

/// Addresses kept per peer (the old peers' number).
pub const ADDRS_PER_PEER: usize = 4;
/// Addresses of a peer that are not in use are measured in this period.
pub const ADDR_PROBE_PERIOD: Duration = Duration::from_secs(5);
/// Addresses dialled for one name or one `connect`.
pub const ADDRS_PER_DIAL: usize = 8;

/// Per unverified IP address, all ports and sources together: datagrams in `DIAL_BUDGET_WINDOW` (a whole dial: 6 HELLO and 2 PROBE).
pub const DIAL_BUDGET_DATAGRAMS: u32 = 9;
/// The same in bytes.
pub const DIAL_BUDGET_BYTES: u32 = 400;
/// An IP address with a peer that answered us: many programs may share it.
pub const DIAL_BUDGET_KNOWN_DATAGRAMS: u32 = 128;
pub const DIAL_BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// IP addresses whose budget is remembered; a new one waits until an old one is forgotten.
pub const DIAL_BUDGET_ADDRS: usize = 2_048;

// ---- Discovery ----

/// Group of the IPv4 beacon (the old peers' own).
pub const LAN_GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 1);
/// Group of the IPv6 beacon: transient, this link only; the last 64 bits spell SETOWIRE.
pub const LAN_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0x5345, 0x544f, 0x5749, 0x5245);
/// Port of both (the old peers' own).
pub const LAN_PORT: u16 = 45_678;
/// Period of the LAN beacon (the old peers' own); each is moved by up to a tenth, so that peers started together spread.
pub const LAN_PERIOD: Duration = Duration::from_secs(5);
/// Largest beacon read: id, address, port, topic hash and fields to come.
pub const LAN_MAX_BEACON: usize = 512;
/// Nonces of sealed beacons remembered, so that a replay is none: a minute and a half of 100 peers on both families.
pub const LAN_NONCES: usize = 4_096;
/// Topics that beacons are heard of: those joined, and as many keys of peers that are looked for.
pub const LAN_TOPICS: usize = 2 * TOPICS_MAX;
/// Peers remembered as having announced themselves lately: who asks and is one of them is dialled, not answered.
pub const LAN_ANNOUNCERS: usize = 64;
/// Interfaces used for beacons.
pub const LAN_INTERFACES: usize = 32;
/// How often the list of interfaces is read, for the LAN source, and where the system does not tell of changes.
pub const INTERFACE_POLL: Duration = Duration::from_secs(5);
/// After the first news of a change the list is read so much later, once: an address that is replaced goes and comes in two
/// steps, and a flood of news must not keep the thread busy.
pub const INTERFACE_SETTLE: Duration = Duration::from_millis(50);
/// Own addresses kept, to see when they change.
pub const LOCAL_ADDRESSES: usize = 64;

/// Topics joined at one time.
pub const TOPICS_MAX: usize = 1_024;
/// Seeds and cached peers given by the application.
pub const SEEDS_MAX: usize = 64;
/// The nodes of the option `bootstrap` are dialled when nobody was met for so long (the old peers' own time), and again
/// in this period while nobody is.
pub const BOOTSTRAP_AFTER: Duration = Duration::from_secs(15);
/// The port of such a node that names none (the old peers' own).
pub const BOOTSTRAP_PORT: u16 = 49_737;
/// Seeds are dialled again in this period while nobody is connected.
pub const SEED_RETRY: Duration = Duration::from_secs(30);
/// Cached peers handed out, and taken in (the old peers' number).
pub const CACHE_MAX: usize = 200;
/// Cached peers dialled at join (the old peers' number).
pub const CACHE_DIALS: usize = 30;
/// Period in which the peer cache is handed out when it changed (the old peers' own).
pub const CACHE_PERIOD: Duration = Duration::from_secs(30);
/// Bytes of a peer cache taken in.
pub const CACHE_MAX_BYTES: usize = 256 << 10;

/// Bytes of a JSON text of a peer (gossip, announcement) that is looked at; real ones have 70 to 300.
pub const JSON_MAX_BYTES: usize = 2_048;
/// Values in such a text: each costs the parser up to 130 bytes, 256 cost 32 KiB.
pub const JSON_MAX_VALUES: usize = 256;
/// Bytes of one message of the v12 DHT; an answer with 20 IPv6 nodes has 2,600.
pub const DHT_MAX_BYTES: usize = 4_096;
/// Nodes taken from one answer of the DHT (the old peers' bucket size).
pub const DHT_FOUND_NODES: usize = 20;
/// Dial hints taken from one frame of a peer (PEX holds 20 by protocol).
pub const HINTS_PER_FRAME: usize = 20;
/// Dial hints taken from one peer per minute.
pub const HINTS_PER_PEER_MINUTE: u32 = 60;

// ---- Mesh ----

/// Peers a message of a v12 peer is forwarded to (the old peers' largest mesh).
pub const FLOOD_DEGREE: usize = 16;
/// Contents whose counts are remembered for duplicates.
pub const FLOOD_CONTENTS: usize = 8_192;
/// Links counted per content; a further one counts as a duplicate.
pub const FLOOD_LINKS: usize = 128;
/// How long a content is remembered: two generations of the old peers' filter.
pub const FLOOD_MEMORY: Duration = Duration::from_secs(600);

/// The first bridge between v12 and the mesh waits so long, the next one twice as long, and so on: time for a message to
/// arrive on its own, or by a bridge before.
pub const BRIDGE_STEP: Duration = Duration::from_millis(100);
/// The longest wait of a bridge in these steps: behind so many bridges there is hardly one that has to act.
pub const BRIDGE_STEPS: u32 = 10;
/// Messages that wait for that, and their bytes; more are left to other bridges.
pub const BRIDGE_WAITING: usize = 1_024;
pub const BRIDGE_WAITING_BYTES: usize = 8 << 20;
/// How long after an unsigned copy a signed message is taken for the same one.
pub const BRIDGE_OVERLAP: Duration = Duration::from_secs(10);

// ---- Swarm ----

/// Connected peers, both directions (option `max_peers`).
pub const MAX_PEERS: usize = 100;
/// Of these, one in so many is kept for those who dial us. Without it a topic with more members than places falls apart: who
/// comes when all others are full finds nobody, and those who come after it are a swarm of their own.
pub const PLACES_KEPT: usize = 4;
/// Dials in progress at one time for the swarm (option `max_parallel`): a dial that nobody answers takes six seconds, so
/// forged reports of a hundred peers do not keep out the next real one.
pub const PARALLEL_DIALS: usize = 128;
/// The defaults of the presets `v4` and `v2`: those of Hyperswarm 4 and 2.
pub const V4_MAX_PEERS: usize = 64;
pub const V4_PARALLEL_DIALS: usize = 3;
pub const V2_MAX_PEERS: usize = 24;
pub const V2_PARALLEL_DIALS: usize = 1;
/// Under `v4` the option `max_peers` bounds dials alone; this bounds all connections.
pub const V4_CONNECTIONS_MAX: usize = 1_024;
/// What may be added to the waits before a dial is repeated (option `jitter`), so that peers lost together spread.
pub const RETRY_JITTER: Duration = Duration::from_millis(500);
/// Waits before a dial is repeated, short, middle, long and for peers joined by key, and what is added by chance.
pub const RETRY_WAITS: [[Duration; 2]; 4] = [
    [Duration::from_secs(1), Duration::from_millis(500)],
    [Duration::from_secs(5), Duration::from_secs(1)],
    [Duration::from_secs(15), Duration::from_secs(2)],
    [Duration::from_secs(600), Duration::from_secs(120)],
];
/// Waits of the preset `v2` before the first, second and third retry (option `requeue`).
pub const V2_REQUEUE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15)];
/// Preset `v2`: a peer that did not answer these is forgotten so much later (option `forget_unresponsive`).
pub const V2_FORGET_UNRESPONSIVE: Duration = Duration::from_millis(7_500);
/// A wait that an option may name: a day.
pub const RETRY_WAIT_MAX: Duration = Duration::from_secs(86_400);
/// A connection that was open for so long was a good one: dials are counted anew.
pub const GOOD_CONNECTION: Duration = Duration::from_secs(15);
/// Peers joined by key are dialled at once while they have fewer failed dials than this, each this much later per dial.
pub const EXPLICIT_ATTEMPTS: u32 = 5;
pub const EXPLICIT_SPACING: Duration = Duration::from_secs(1);
/// Peers joined by key: as many as topics.
pub const EXPLICIT_MAX: usize = 1_024;
/// A dial of the swarm ends after this, whatever it waits for; the preset `v2` has the second one.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
pub const V2_DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the addresses of a peer that was joined by key are looked for before the dial counts as failed: a beacon asks for
/// them and the answer comes at once, or is lost and asked for again once.
pub const FIND_PATIENCE: Duration = Duration::from_secs(2);
/// A peer whose connection was lost, not closed, is dialled so often before it is forgotten: for an hour and a half.
pub const LOST_ATTEMPTS: u32 = 12;
/// Time from one round of discovery of a topic to the next, and what is added by chance (those of Hyperswarm).
pub const ROUND_PERIOD: Duration = Duration::from_secs(600);
pub const ROUND_SPREAD: Duration = Duration::from_secs(120);
pub const V2_ROUND_PERIOD: Duration = Duration::from_secs(300);
pub const V2_ROUND_SPREAD: Duration = Duration::from_secs(300);
/// A round that is so late was delayed by a sleep of the machine: it is moved by chance.
pub const ROUND_OVERDUE: Duration = Duration::from_secs(30);
/// How long answers of the local network are waited for in a round: they come within milliseconds, or the beacon was lost
/// and its echo brings them.
pub const LAN_ROUND: Duration = Duration::from_millis(500);
/// How long a source outside of the node may take for a round: a look-up in a large network, all whose first nodes are gone,
/// ends within this. Then the round counts as failed.
pub const OUTSIDE_ROUND: Duration = Duration::from_secs(30);
/// How long a topic that is joined again waits until what was announced before is taken back.
pub const UNANNOUNCE_PATIENCE: Duration = Duration::from_secs(10);
/// Answers to beacons that ask, per topic: one in this time serves everyone who asked.
pub const LAN_ANSWER_PERIOD: Duration = Duration::from_millis(200);
/// Peers found by a topic with a limit that are remembered between its rounds.
pub const LIMIT_MEMORY: usize = 64;
/// Peers known at one time, connected or not: anybody can announce any number. An entry has 300 bytes.
pub const KNOWN_MAX: usize = 16_384;
/// Of these, those that never answered, last heard of at one IP address: programs of one host or behind one home router.
pub const KNOWN_PER_IP: usize = 256;
/// Bans in force. Those made by the firewall's answers give way to new ones.
pub const BANS_MAX: usize = 16_384;
/// Addresses at which banned peers of our own kind were met, and from which nobody may speak the old wire meanwhile: one
/// for each ban.
pub const BANNED_ADDRS: usize = BANS_MAX;
/// Questions to the application at one time; who comes beyond is turned away.
pub const QUESTIONS_MAX: usize = 1_024;
/// Of these, about peers that dial us, and about peers that were found: anybody can invent either, so neither takes all.
pub const QUESTIONS_OF_A_KIND: usize = 768;
/// How long an answer is waited for (option `firewall_deadline`): less than a handshake may take.
pub const FIREWALL_DEADLINE: Duration = Duration::from_secs(5);
pub const FIREWALL_DEADLINE_MAX: Duration = Duration::from_secs(8);
/// How long an answer holds for the peer that it was about (option `handshake_clear_wait`).
pub const HANDSHAKE_CLEAR_WAIT: Duration = Duration::from_secs(10);
/// Answers remembered for that.
pub const VERDICTS_KEPT: usize = 1_024;
/// Bytes of an id that programs tell each other to find two connections between them, and pairs remembered.
pub const DEDUP_ID_BYTES: usize = 64;
pub const DEDUP_PAIRS: usize = 10_000;
/// The largest `max_peers` accepted: ids and tables are sized for it.
pub const MAX_PEERS_LIMIT: usize = 10_000;
/// Operations in progress (connects, name look-ups, sends with a tag).
pub const OPS_MAX: usize = 4_096;
/// A connect without a time limit of its own ends after this.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for GOAWAY and queued messages to leave on close.
pub const CLOSE_DEADLINE: Duration = Duration::from_millis(500);

// ---- Event queue ----

/// Events waiting for the application (option `event_queue_items`).
pub const QUEUE_ITEMS: usize = 16_384;
/// Bytes of these (option `event_queue_bytes`).
pub const QUEUE_BYTES: usize = 32 << 20;
/// Places for `CONNECTION` and `DISCONNECTION` beyond `event_queue_items`: as many peers as there may be, and as
/// many that came and went while the application did not read. Without two free places no connection is made.
pub const QUEUE_LIFE_CYCLE: usize = 4 * MAX_PEERS_LIMIT;
/// Events about peers that are not connected, and questions, waiting; more are counted and dropped. Four for each peer of the
/// largest swarm that anybody had in mind.
pub const QUEUE_NOTICES: usize = 4_096;
/// Rounds, their ends and announcements to take back that wait for an application that is a source; more are counted and
/// dropped. Four for each topic that may be joined: a round that was dropped ends by its own time limit.
pub const QUEUE_ROUNDS: usize = 4 * TOPICS_MAX;
/// Log lines waiting for the log callback; more are counted and dropped.
pub const LOG_QUEUE_LINES: usize = 1_024;

// ---- Runtime ----

/// Socket buffers asked for, bytes: bursts of 60 kB messages from several peers fit.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams taken from the sockets before timers and commands get their turn.
pub const RECV_BUDGET: usize = 256;
/// Receive buffers filled by one system call; each holds one datagram of 64 KiB or 64 small ones joined by the kernel.
pub const RECV_BATCH: usize = 16;
/// Receive errors in a row after which a socket is left alone for `RECV_ERROR_PAUSE`.
pub const RECV_ERRORS_IN_A_ROW: u32 = 8;
/// Long enough that a broken interface costs no processor time, short enough that its return is not felt.
pub const RECV_ERROR_PAUSE: Duration = Duration::from_millis(50);
/// Datagrams, or runs of them that leave together, waiting for the socket; more are dropped as the network would.
pub const SEND_QUEUE_DATAGRAMS: usize = 4_096;
/// Bytes of these: twice what the socket buffer holds.
pub const SEND_QUEUE_BYTES: usize = 8 << 20;
/// Datagrams up to this size, bytes, leave as one IP packet: what every IPv6 link takes (1,280 with headers).
/// Larger ones may be cut by the IP layer, because the v12 wire has no other way for a message of 60 kB.
pub const WHOLE_DATAGRAM_BYTES: usize = 1_232;
/// Outputs of the node carried out before the sockets are looked at again.
pub const OUTPUT_BATCH: usize = 256;
/// Bytes sent by one system call: what fits an IP packet, and so what the kernel cuts into datagrams.
pub const TRANSMIT_BYTES: usize = 65_000;
/// Datagrams of one such call (the kernel's own limit).
pub const TRANSMIT_SEGMENTS: usize = 64;
/// Bytes sent before the sockets are read again: as much as one reading may bring.
pub const SEND_BUDGET_BYTES: usize = 512 << 10;
/// Buffers of 64 KiB kept for copies of what is received, and of what is written: 2 MiB, what one stream has on its way.
pub const COPY_BUFFERS: usize = 32;
/// Empty buffers of `TRANSMIT_BYTES` kept for the next transmits.
pub const SPARE_BUFFERS: usize = 8;
/// Time the network thread adds to `CLOSE_DEADLINE` before it ends without the node's consent: long, because only a bug,
/// or a machine that hardly runs, uses it, and what is open is then not told one by one.
pub const CLOSE_GRACE: Duration = Duration::from_secs(3);
/// Name look-ups at one time; each holds a thread while the system's resolver works.
pub const RESOLVER_CONCURRENT: usize = 4;
/// Name look-ups that wait for one of these; a further one fails at once.
pub const RESOLVER_WAITING: usize = 256;
