//! Two control streams, and somebody between them or at the other end who does not play by the rules.

use super::close::Close;
use super::exchange::{Bindings, Exchange, Joined, Lent, Own, Told, TopicNo, Topics};
use crate::config::limits::{CONTROL_BURST_BYTES, CONTROL_BYTES_PER_SECOND, CONTROL_TOPICS_COST, LEGACY_PROOF_DELAY};
use crate::crypto::identity::{V12Keys, legacy_id};
use crate::crypto::legacy::LegacySecret;
use crate::crypto::topic::{Role, TopicKey};
use crate::wire::v13::control::{self, Control};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::time::{Duration, Instant};
use zeroize::ZeroizeOnDrop;

/// TOPICS, SHARED and ASK without a body.
const TOPICS: [u8; 2] = [2, 0];
const SHARED: [u8; 2] = [3, 0];
const ASK: [u8; 2] = [4, 0];

struct Side {
    exchange: Exchange,
    own: Own,
    v12: V12Keys,
    topics: Topics,
    rng: ChaCha20Rng,
    now: Instant,
    told: Vec<Told>,
    /// What came and is not taken yet.
    waits: Vec<u8>,
}

/// Keying material of one connection.
fn bindings(connection: u8) -> Bindings {
    Bindings { topic: [connection; 32].into(), legacy: [connection ^ 0xff; 32].into() }
}

fn private(n: u8) -> TopicKey {
    TopicKey::private(&[n; 32], &[0x5e; 32])
}

impl Side {
    /// One end of a connection; the dialler has said its first words.
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn new(role: Role, connection: u8, topics: &[TopicKey], explicit: bool) -> Side {
        let now = Instant::now();
        let joined = |key: &TopicKey| Joined { key: key.clone(), private: false };
        let mut side = Side {
            exchange: Exchange::new(role, bindings(connection), explicit, false, now),
            own: Own { instance: 1, max_message: 1 << 20, accept_explicit: explicit, legacy: true },
            v12: V12Keys::from_seed(&[role.byte()]),
            topics: (1..).map(TopicNo).zip(topics.iter().map(joined)).collect(),
            rng: ChaCha20Rng::from_seed([connection; 32]),
            now,
            told: Vec::new(),
            waits: Vec::new(),
        };
        if role == Role::Dialler {
            side.call(|exchange, lent| exchange.begin(lent, true));
        }
        side
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Exchange, &mut Lent<'_>) -> T) -> T {
        let Side { exchange, own, v12, topics, rng, now, .. } = self;
        call(exchange, &mut Lent { topics, own, v12, rng, now: *now })
    }

    /// Takes what comes, as fast as the exchange allows; the reason if that ends the connection.
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Close> {
        self.waits.extend_from_slice(bytes);
        let mut told = std::mem::take(&mut self.told);
        let result = loop {
            let Ok(most) = self.exchange.allowance(self.now) else { break Ok(()) };
            let behind = self.exchange.is_behind();
            if self.waits.is_empty() && !behind {
                break Ok(());
            }
            let taken = if behind { 0 } else { most.min(self.waits.len()) };
            let chunk: Vec<u8> = self.waits.drain(..taken).collect();
            if let Err(reason) = self.call(|exchange, lent| exchange.receive(&chunk, lent, &mut told)) {
                break Err(reason.close);
            }
        };
        self.told = told;
        result.and_then(|()| self.call(|exchange, lent| exchange.refresh(lent)).map_err(|reason| reason.close))
    }

    fn said(&mut self) -> Vec<u8> {
        std::mem::take(self.exchange.output())
    }

    /// The same when what waits with its proof has waited.
    fn said_later(&mut self) -> Vec<u8> {
        self.now += LEGACY_PROOF_DELAY;
        self.call(|exchange, lent| exchange.refresh(lent)).expect("the key is in order");
        self.said()
    }
}

/// The frames in these bytes.
fn frames(mut bytes: &[u8]) -> Vec<Control<'_>> {
    let mut frames = Vec::new();
    while let Some((frame, used)) = control::next(bytes).expect("frames of ours") {
        frames.push(frame);
        bytes = &bytes[used..];
    }
    frames
}

/// The tags in a TOPICS or SHARED among these frames.
fn tags(bytes: &[u8]) -> Vec<[u8; 32]> {
    let tags = frames(bytes).into_iter().find_map(|frame| match frame {
        Control::Topics(tags) | Control::Shared(tags) => Some(tags.to_vec()),
        _ => None,
    });
    tags.expect("tags")
}

fn hello(explicit: bool) -> Vec<u8> {
    let mut side = Side::new(Role::Dialler, 0, &[], explicit);
    let said = side.said();
    let (_, used) = control::next(&said).expect("a frame").expect("whole");
    said[..used].to_vec()
}

/// Both ends of one connection, until nobody has anything to say.
fn meet(a: &mut Side, b: &mut Side) -> Result<(), Close> {
    loop {
        let (from_a, from_b) = (a.said_later(), b.said_later());
        if from_a.is_empty() && from_b.is_empty() {
            return Ok(());
        }
        b.hear(&from_a)?;
        a.hear(&from_b)?;
    }
}

#[test]
fn two_that_share_a_topic_are_ready_and_prove_their_legacy_ids() {
    let (mut a, mut b) =
        (Side::new(Role::Dialler, 1, &[private(1)], false), Side::new(Role::Acceptor, 1, &[private(1)], false));
    meet(&mut a, &mut b).expect("they agree");
    let proven = |side: &Side| Told::Legacy(legacy_id(side.v12.public()));
    assert_eq!(a.told, [Told::Ready, proven(&b)]);
    assert_eq!(b.told, [Told::Ready, proven(&a)]);
}

/// A man in the middle has a connection with each of them, and passes on what they say.
#[test]
fn proofs_that_are_passed_on_to_another_connection_prove_nothing() {
    let topics = [private(1), private(2)];
    let mut a = Side::new(Role::Dialler, 1, &topics, false);
    let mut b = Side::new(Role::Acceptor, 2, &topics, false);
    assert_eq!(b.hear(&a.said()), Err(Close::NoTopic));
    assert!(b.told.is_empty());

    // What b would say to one who knows the topics is of no use with a either.
    let (mut friend, mut b) =
        (Side::new(Role::Dialler, 2, &topics, false), Side::new(Role::Acceptor, 2, &topics, false));
    b.hear(&friend.said()).expect("they agree");
    assert_eq!(a.hear(&b.said()), Err(Close::BadProof));
    assert!(a.told.is_empty());
}

#[test]
fn proofs_that_come_back_to_who_made_them_end_the_connection() {
    let mut a = Side::new(Role::Dialler, 1, &[private(1)], false);
    let own = tags(&a.said());
    let mut reflected = hello(false);
    control::encode_shared(&own, &mut reflected).expect("it fits");
    assert_eq!(a.hear(&reflected), Err(Close::BadProof));

    let (mut a, mut b) =
        (Side::new(Role::Dialler, 1, &[private(1)], false), Side::new(Role::Acceptor, 1, &[private(1)], false));
    b.hear(&a.said()).expect("they agree");
    let mut reflected = Vec::new();
    control::encode_topics(&tags(&b.said()), &mut reflected).expect("it fits");
    assert_eq!(b.hear(&reflected), Err(Close::BadProof));
}

#[test]
fn frames_of_the_other_role_end_the_connection() {
    for (role, frame) in [(Role::Dialler, TOPICS), (Role::Acceptor, SHARED), (Role::Acceptor, ASK)] {
        let mut side = Side::new(role, 1, &[private(1)], true);
        assert_eq!(side.hear(&[&hello(true)[..], &frame].concat()), Err(Close::Protocol), "{role:?} {frame:?}");
    }
    let mut unasked = Side::new(Role::Dialler, 1, &[private(1)], true);
    assert_eq!(unasked.hear(&[&hello(true)[..], &SHARED, &SHARED].concat()), Err(Close::Protocol));
}

/// He names the key of somebody else, and tries all the proofs that he can get.
#[test]
fn nobody_claims_the_legacy_id_of_another() {
    let other = V12Keys::from_seed(b"other");
    let mine = V12Keys::from_seed(b"mine");
    type Forge = fn(&Side, &V12Keys, &V12Keys) -> [u8; 32];
    let forgeries: [(&str, Forge); 5] = [
        ("nothing", |_, _, _| [0; 32]),
        ("a key of his own", |b, mine, _| made(mine, b.v12.public(), Role::Dialler, 1)),
        ("the right keys, sent back", |b, _, other| made(other, b.v12.public(), Role::Acceptor, 1)),
        ("the right keys, on another connection", |b, _, other| made(other, b.v12.public(), Role::Dialler, 2)),
        ("his key and the other's", |_, mine, other| made(mine, other.public(), Role::Dialler, 1)),
    ];
    for (what, forge) in forgeries {
        let mut b = Side::new(Role::Acceptor, 1, &[private(1)], true);
        let mut said = hello(true);
        said.extend(TOPICS);
        control::encode_legacy(other.public(), &mut said);
        control::encode_legacy_proof(&forge(&b, &mine, &other), &mut said);
        assert_eq!(b.hear(&said), Err(Close::BadProof), "{what}");
        assert!(!b.told.iter().any(|told| matches!(told, Told::Legacy(_))), "{what}");
    }
    let mut b = Side::new(Role::Acceptor, 1, &[private(1)], true);
    let mut said = hello(true);
    said.extend(TOPICS);
    control::encode_legacy(other.public(), &mut said);
    control::encode_legacy_proof(&made(&other, b.v12.public(), Role::Dialler, 1), &mut said);
    assert_eq!(b.hear(&said), Ok(()), "the holder himself is believed");
}

fn made(own: &V12Keys, theirs: &[u8; 32], role: Role, connection: u8) -> [u8; 32] {
    LegacySecret::new(own, theirs).expect("honest keys").proof(role, &bindings(connection).legacy)
}

#[test]
fn a_key_of_low_order_is_no_legacy_key() {
    let mut b = Side::new(Role::Acceptor, 1, &[private(1)], true);
    let mut said = [&hello(true)[..], &TOPICS].concat();
    control::encode_legacy(&[0; 32], &mut said);
    assert_eq!(b.hear(&said), Ok(()), "nobody waits for its proof");
    b.now += LEGACY_PROOF_DELAY;
    let refused = b.call(|exchange, lent| exchange.refresh(lent)).expect_err("a key that proves nothing");
    assert_eq!(refused.close, Close::BadProof);
}

/// How much is computed at once, and in each second after that.
const AT_ONCE: usize = (CONTROL_BURST_BYTES / CONTROL_TOPICS_COST) as usize;
const PER_SECOND: usize = (CONTROL_BYTES_PER_SECOND / CONTROL_TOPICS_COST) as usize;

/// Two bytes make us compute two codes for each topic that we joined.
#[test]
fn topics_cost_as_much_as_they_make_us_compute() {
    let mut b = Side::new(Role::Acceptor, 1, &[private(1)], true);
    b.hear(&[hello(true), TOPICS.repeat(1_000)].concat()).expect("nothing is wrong with it");
    let answers = |side: &mut Side| frames(&side.said()).iter().filter(|f| matches!(f, Control::Shared(_))).count();
    let mut answered = answers(&mut b);
    assert!((1..=AT_ONCE).contains(&answered), "{answered} at once");
    for _ in 0..10 {
        b.now += Duration::from_secs(1);
        b.hear(&[]).expect("the rest");
        let more = answers(&mut b);
        assert!((1..=PER_SECOND + 1).contains(&more), "{more} in a second");
        answered += more;
    }
    while b.exchange.is_behind() || !b.waits.is_empty() {
        b.now += Duration::from_secs(1);
        b.hear(&[]).expect("the rest");
        answered += answers(&mut b);
    }
    assert_eq!(answered, 1_000, "in the end each has its answer");
}

#[test]
fn asks_cost_as_much_as_they_make_us_compute() {
    let mut a = Side::new(Role::Dialler, 1, &[private(1)], true);
    a.hear(&hello(true)).expect("HELLO");
    let mut shown = frames(&a.said()).len() - 1;
    for _ in 0..1_000 {
        a.hear(&[SHARED, ASK].concat()).expect("nothing is wrong with it");
        shown += frames(&a.said()).len();
    }
    assert!((2..=AT_ONCE + 1).contains(&shown), "{shown} at once");
}

#[test]
fn a_thousand_topics_left_one_by_one_hold_up_nothing() {
    let topics: Vec<TopicKey> = (0..1_000u16)
        .map(|n| TopicKey::private(&[1; 32], &[n.to_be_bytes(); 16].concat().try_into().unwrap()))
        .collect();
    let (mut a, mut b) = (Side::new(Role::Dialler, 1, &topics, true), Side::new(Role::Acceptor, 1, &topics, true));
    meet(&mut a, &mut b).expect("they agree");
    assert_eq!((a.exchange.shared().len(), b.exchange.shared().len()), (1_000, 1_000));
    for (no, key) in (1..).map(TopicNo).zip(&topics) {
        let (leaver, other) = if no.0 % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        leaver.topics.remove(&no);
        assert!(leaver.exchange.left(no, key));
        other.told.clear();
        other.hear(&leaver.said()).expect("nothing is wrong with it");
        assert_eq!(other.told, [Told::Shared], "at once");
        assert!(!other.exchange.left(no, key), "it is shared no more");
    }
    assert!(a.exchange.shared().is_empty() && b.exchange.shared().is_empty());
}

#[test]
fn a_topic_left_before_its_answer_comes_is_left_by_a_session_that_has_begun() {
    let topics = [private(1)];
    let (mut a, mut b) = (Side::new(Role::Dialler, 1, &topics, false), Side::new(Role::Acceptor, 1, &topics, false));
    b.hear(&a.said()).expect("HELLO and TOPICS");
    assert_eq!(b.told, [Told::Ready]);
    a.topics.clear();
    assert!(!a.exchange.left(TopicNo(1), &topics[0]), "it is not shared yet");
    a.hear(&b.said()).expect("HELLO and SHARED");
    assert_eq!(a.told, [Told::Ready], "at both ends");
    b.told.clear();
    b.hear(&a.said()).expect("LEFT");
    assert_eq!(b.told, [Told::Shared]);
    assert!(a.exchange.shared().is_empty() && b.exchange.shared().is_empty());
}

#[test]
fn topics_joined_one_by_one_are_one_question() {
    let topics: Vec<TopicKey> = (1..=200).map(private).collect();
    let (mut a, mut b) = (Side::new(Role::Dialler, 1, &topics, true), Side::new(Role::Acceptor, 1, &topics[..1], true));
    meet(&mut a, &mut b).expect("they agree");
    for (no, key) in (1..).map(TopicNo).zip(&topics) {
        b.topics.insert(no, Joined { key: key.clone(), private: true });
        b.exchange.topics_changed();
        b.hear(&[]).expect("nothing came");
    }
    let said = b.said();
    assert_eq!(frames(&said), [Control::Ask]);
    a.hear(&said).expect("ASK");
    meet(&mut a, &mut b).expect("they agree");
    assert_eq!((a.exchange.shared().len(), b.exchange.shared().len()), (200, 200));
    // What is joined after the answer is asked for again.
    b.exchange.topics_changed();
    b.hear(&[]).expect("nothing came");
    assert_eq!(frames(&b.said()), [Control::Ask]);
}

#[test]
fn keying_material_is_wiped() {
    fn is_wiped<T: ZeroizeOnDrop>(_: &T) {}
    let bindings = bindings(1);
    is_wiped(&bindings.topic);
    is_wiped(&bindings.legacy);
}
