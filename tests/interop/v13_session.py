"""One connection of setowire/13: control exchange, messages, datagrams, mesh, paths.

Input: datagrams and time from the node it belongs to (`Node` names what it needs of
it). Output: datagrams and events through that node. The node sees a peer from
`ready` on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass, field
from typing import Any, Protocol

from aioquic.quic import events  # type: ignore[import-not-found]

import v13_wire as wire
from v13_quic import SOMEWHERE, MutualQuic
from v13_wire import ACCEPTOR, DIALLER, Broken, Topic

Address = tuple[Any, ...]

READY_TIME = 10.0
CLOSE_TIME = 0.5
KEEP_ALIVE = 20.0
ANSWER_TIME = 3.0
EARLY_DATAGRAMS = 64
# Values up to this size are shown in full.
HEX_LIMIT = 256 * 1024


@dataclass
class Settings:
    """How the peer behaves; README.md tells which of these break the rules."""

    cipher: str = "chacha20"
    max_message: int = wire.MESSAGE_LIMIT
    accept_explicit: bool = True
    legacy: bool = False
    answer_probes: bool = True
    answer_challenges: bool = True
    echo_streams: bool = False
    hold: bool = False
    bad_cookies: bool = False
    answer_any_probe: bool = False
    certificates: list[str] | None = None
    topics: list[str] | None = None
    shared: list[str] | None = None
    reflect: bool = False


class Node(Protocol):
    identity: wire.Identity
    instance: int
    settings: Settings
    topics: dict[str, Topic]

    def send(self, address: Address, data: bytes) -> None: ...
    def emit(self, event: str, **fields: Any) -> None: ...
    def route(self, connection_id: bytes, session: Session) -> None: ...
    def unroute(self, connection_id: bytes) -> None: ...
    def may_become_ready(self, session: Session) -> bool: ...
    def ended(self, session: Session) -> None: ...


@dataclass
class Incoming:
    """A stream that the peer opened; `kind` is unknown until its type was read."""

    data: bytearray = field(default_factory=bytearray)
    ended: bool = False
    kind: int | None = None


def content(data: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {"len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= HEX_LIMIT:
        fields["hex"] = data.hex()
    return fields


class Session:
    def __init__(self, node: Node, quic: MutualQuic, role: int, address: Address, explicit: bool = False) -> None:
        self.node, self.quic, self.role, self.address = node, quic, role, address
        self.explicit = explicit  # as the dialler says
        self.ready = False
        self.key: bytes | None = None
        self.hello: wire.Hello | None = None
        self.shared: dict[str, Topic] = {}
        self.loop = asyncio.get_running_loop()
        self._control = wire.Frames(wire.CONTROL_LIMIT)
        self._incoming: dict[int, Incoming] = {}
        self._messages = wire.Frames(node.settings.max_message, typed=False, too_long=wire.TOO_LARGE)
        self._mesh = wire.Frames(wire.MESH_LIMIT)
        self._answers: dict[int, bytearray] = {}  # what came on bidirectional streams of ours
        self._own: dict[int, int] = {}  # our unidirectional streams, by type
        self._asked: list[dict[bytes, Topic]] = []  # TOPICS without a SHARED
        self._topics_due = False
        self._ask_open = False
        self._first_topics = True
        self._early: list[bytes] = []
        self._their_v12: bytes | None = None
        self._legacy_sent = self._legacy_proved = False
        self.sent_message = self.got_message = False
        # Paths.
        self._challenges: dict[tuple[int, bytes], tuple[Address, float]] = {}
        self._number = self._n = self._h = 0
        self._n_answered = False
        self._last_from = address
        # Timers.
        self._timer: asyncio.TimerHandle | None = None
        self._reported = self._closed = False
        self._closing: tuple[int, str] | None = None
        self._begun = self._received = self.loop.time()
        self._close_by = 0.0

    # ---- The connection ----

    def begin(self) -> None:
        """Leaves for the address: the first Initial of a dialler."""
        self.quic.connect(SOMEWHERE, self.loop.time())
        self.pump()

    def receive(self, data: bytes, address: Address) -> None:
        self._received = self.loop.time()
        self.quic.receive_datagram(data, SOMEWHERE, self._received)
        self._last_from = address
        if address != self.address and self.quic.established and not any(to == address for to, _ in self._challenges.values()):
            self.challenge(address)
            self.challenge(self.address)
        self.pump()

    def pump(self) -> None:
        """Takes what QUIC has for us and sends what it wants to send."""
        self._take_events()
        self._flush()
        if self._closing is not None and (self.loop.time() >= self._close_by or self._drained()):
            code, reason = self._closing
            self._closing = None
            self.quic.close(error_code=code, reason_phrase=reason)
            self._flush()
        if self.quic.over is not None and not self._reported:
            self._reported = True
            self._report_end()
        self._arm()

    def _take_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            try:
                self._event(event)
            except Broken as broken:
                self.close(broken.code, broken.reason)

    def _flush(self) -> None:
        datagrams = self.quic.datagrams_to_send(self.loop.time())
        # Ids that these datagrams give to the peer: it may use them at once.
        self._take_events()
        for data, _ in datagrams:
            self.node.send(self.address, data)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [self.quic.get_timer()]
        if not self._reported:
            times.append(self._received + KEEP_ALIVE)
            if not self.ready:
                times.append(self._begun + READY_TIME)
            if self._closing is not None:
                times.append(self._close_by)
        if any(at is not None for at in times):
            self._timer = self.loop.call_at(min(at for at in times if at is not None), self._on_timer)

    def _on_timer(self) -> None:
        now = self.loop.time()
        if (due := self.quic.get_timer()) is not None and now >= due:
            self.quic.handle_timer(now)
        if not self._reported:
            if not self.ready and now >= self._begun + READY_TIME:
                self.close(wire.TIMED_OUT, "the control exchange was not finished in time")
            if now >= self._received + KEEP_ALIVE:
                self._received = now
                self.quic.send_ping(0)
        self.pump()

    def close(self, code: int, reason: str = "") -> None:
        """Ends the connection; with CLOSED and GOING what is queued leaves first."""
        if self.quic.over is not None or self._closing is not None:
            return
        reason = reason.encode()[:200].decode(errors="ignore")
        stream = self._own.get(wire.MESSAGES)
        if code in (wire.CLOSED, wire.GOING) and stream is not None:
            self.quic.send_stream_data(stream, b"", end_stream=True)
            self._closing = code, reason
            self._close_by = self.loop.time() + CLOSE_TIME
        else:
            self._closed = True
            self._flush()
            self.quic.close(error_code=code, reason_phrase=reason)
        self.loop.call_soon(self.pump)

    def _drained(self) -> bool:
        return self.quic.sent(self._own[wire.MESSAGES])

    def _report_end(self) -> None:
        over = self.quic.over
        application = over.frame_type is None
        name = wire.CLOSE_NAMES[over.error_code] if application and over.error_code < len(wire.CLOSE_NAMES) else None
        # A side that closes has no more than its own code; what QUIC made of a close before the handshake is one of its errors.
        self.node.emit(
            "disconnect" if self.ready else "refused",
            **self.name(),
            code=over.error_code,
            name=name,
            application=application,
            reason=over.reason_phrase,
            **self.place(),
        )
        self.node.ended(self)

    def name(self) -> dict[str, Any]:
        key = self.key.hex() if self.key else None
        return {"peer": key[:16] if key else None, "key": key, "role": "acceptor" if self.role else "dialler"}

    def place(self) -> dict[str, Any]:
        return {"address": self.address[0], "port": self.address[1]}

    # ---- Events of QUIC ----

    def _event(self, event: Any) -> None:
        match event:
            case events.ConnectionIdIssued():
                self.node.route(event.connection_id, self)
            case events.ConnectionIdRetired():
                self.node.unroute(event.connection_id)
            case _ if self._closed:
                pass
            case events.HandshakeCompleted():
                self._handshake_done()
            case events.StreamDataReceived():
                self._stream_data(event.stream_id, event.data, event.end_stream)
            case events.DatagramFrameReceived() if self.ready:
                self._datagram(event.data)
            case events.DatagramFrameReceived():
                self._early = [*self._early, event.data][:EARLY_DATAGRAMS]
            case events.StreamReset() | events.StopSendingReceived():
                kind = "reset" if isinstance(event, events.StreamReset) else "stopped"
                self.node.emit("stream_refused", **self.name(), stream=event.stream_id, how=kind, code=event.error_code)
                self._stream_broken(event.stream_id)

    def _handshake_done(self) -> None:
        self.key = self.quic.peer_key
        if self.key == self.node.identity.key:
            raise Broken(wire.SELF, "this is ourselves")
        self.node.emit("established", **self.name())
        self._exported = self.quic.exporter("topic")
        own, other = ("path-acceptor", "path-dialler") if self.role == ACCEPTOR else ("path-dialler", "path-acceptor")
        self._path_key, self._their_path_key = self.quic.exporter(own), self.quic.exporter(other)
        if self.role == DIALLER and not self.node.settings.hold:
            self.say_hello()

    def say_hello(self) -> None:
        """The control stream of a dialler begins."""
        if self.quic.established and self.hello is None and not self._asked:
            stream = self.quic.get_next_available_stream_id()
            assert stream == 0
            self.quic.send_stream_data(stream, bytes([wire.CONTROL]) + self._own_hello())
            self._send_topics()

    def _own_hello(self) -> bytes:
        settings = self.node.settings
        explicit = self.explicit if self.role == DIALLER else settings.accept_explicit
        return wire.frame(wire.HELLO, wire.Hello(self.node.instance, settings.max_message, explicit).body())

    def control(self, kind: int, body: bytes) -> None:
        self.quic.send_stream_data(0, wire.frame(kind, body))

    # ---- Streams ----

    def _stream_data(self, stream: int, data: bytes, ended: bool) -> None:
        if stream == 0 and self.role == DIALLER:
            self._control.feed(data)
            self._read_control()
            if ended:
                raise Broken(wire.PROTOCOL, "the control stream ended")
            return
        if stream & 1 == self.role:
            answer = self._answers.setdefault(stream, bytearray())
            answer += data
            if ended:
                self.node.emit("stream", **self.name(), stream=stream, **content(bytes(answer)))
            return
        incoming = self._incoming.setdefault(stream, Incoming())
        incoming.data += data
        incoming.ended |= ended
        if stream == 0 or self.ready:
            self._read(stream, incoming)

    def _read(self, stream: int, incoming: Incoming) -> None:
        if incoming.kind is None:
            first = wire.take_varint(incoming.data)
            if first is None:
                return
            incoming.kind, size = first
            del incoming.data[:size]
            self._opened(stream, incoming.kind)
        data = bytes(incoming.data)
        incoming.data.clear()
        unidirectional = bool(stream & 2)
        match incoming.kind:
            case wire.CONTROL if stream == 0:
                self._control.feed(data)
                self._read_control()
                if incoming.ended:
                    raise Broken(wire.PROTOCOL, "the control stream ended")
            case wire.MESSAGES if unidirectional:
                self._messages.feed(data)
                while (found := self._messages.next()) is not None:
                    self.got_message = True
                    self.node.emit("data", **self.name(), **content(found[1]))
                if incoming.ended and not self._messages.empty:
                    raise Broken(wire.PROTOCOL, "the messages stream ended inside a message")
            case wire.MESH if unidirectional:
                self._mesh.feed(data)
                while (found := self._mesh.next()) is not None:
                    self._mesh_frame(*found)
                if incoming.ended:
                    raise Broken(wire.PROTOCOL, "the mesh stream ended")
            case wire.APPLICATION if not unidirectional and self.node.settings.echo_streams:
                self.quic.send_stream_data(stream, data, end_stream=incoming.ended)

    def _opened(self, stream: int, kind: int) -> None:
        """The type of a stream of the peer is known: is it one we take?"""
        if stream == 0:
            if kind != wire.CONTROL:
                raise Broken(wire.PROTOCOL, f"stream 0 has type {kind}")
            self.quic.send_stream_data(0, self._own_hello())
        elif stream & 2 and kind in (wire.MESSAGES, wire.MESH):
            if sum(other.kind == kind for number, other in self._incoming.items() if number & 2) > 1:
                raise Broken(wire.PROTOCOL, f"a second stream of type {kind}")
        elif stream & 2 or kind != wire.APPLICATION or not self.node.settings.echo_streams:
            self.quic.stop_stream(stream, 1)
            if not stream & 2:
                self.quic.reset_stream(stream, 1)

    def _stream_broken(self, stream: int) -> None:
        incoming = self._incoming.get(stream)
        kept = incoming is not None and bool(stream & 2) and incoming.kind in (wire.MESSAGES, wire.MESH)
        if stream == 0 or kept or stream in self._own.values():
            raise Broken(wire.PROTOCOL, f"stream {stream} was reset or stopped")

    def _own_stream(self, kind: int) -> int:
        if kind not in self._own:
            stream = self.quic.get_next_available_stream_id(is_unidirectional=True)
            self._own[kind] = stream
            self.quic.send_stream_data(stream, bytes([kind]))
        return self._own[kind]

    # ---- Control stream ----

    def _read_control(self) -> None:
        while (found := self._control.next()) is not None:
            kind, body = found
            if (kind == wire.HELLO) != (self.hello is None):
                raise Broken(wire.PROTOCOL, f"frame {kind} at a place where HELLO {'is' if self.hello is None else 'was'} due")
            allowed = {wire.TOPICS: ACCEPTOR, wire.SHARED: DIALLER, wire.ASK: DIALLER}
            if allowed.get(kind, self.role) != self.role:
                raise Broken(wire.PROTOCOL, f"frame {kind} from the wrong side")
            self._control_frame(kind, wire.read_control(kind, body))

    def _control_frame(self, kind: int, content: Any) -> None:
        match kind:
            case wire.HELLO:
                self.hello = content
                if self.role == ACCEPTOR:
                    self.explicit = content.explicit
            case wire.TOPICS:
                self._on_topics(content)
            case wire.SHARED:
                self._on_shared(content)
            case wire.ASK:
                self._send_topics()
            case wire.LEFT:
                self._on_left(content)
            case wire.ADDRS:
                self.node.emit("addrs", **self.name(), addresses=[f"{ip} {port}" for ip, port in content])
            case wire.LEGACY | wire.LEGACY_PROOF if self.node.settings.legacy:
                self._on_legacy(kind, content)

    def tags(self, role: int) -> dict[bytes, Topic]:
        return {topic.tag(role, self._exported): topic for topic in self.node.topics.values()}

    def topics_changed(self) -> None:
        """A topic was joined."""
        if not self.ready:
            self._topics_due = self.role == DIALLER
        elif self.role == DIALLER:
            self._send_topics()
        elif not self._ask_open:
            self._ask_open = True
            self.control(wire.ASK, b"")
        self.pump()

    def topic_left(self, name: str) -> None:
        topic = self.shared.pop(name, None)
        if topic is not None:
            self.control(wire.LEFT, topic.tag(self.role, self._exported))
            self.pump()

    def _send_topics(self) -> None:
        if self._asked:
            self._topics_due = True
            return
        self._topics_due = False
        shown = self.tags(DIALLER)
        values = [bytes.fromhex(value) for value in self.node.settings.topics or ()] or wire.fill_up(list(shown))
        self._asked.append({topic.tag(ACCEPTOR, self._exported): topic for topic in shown.values()})
        self.control(wire.TOPICS, b"".join(values))

    def _on_topics(self, values: list[bytes]) -> None:
        self._ask_open = False
        if not self.tags(ACCEPTOR).keys().isdisjoint(values):
            raise Broken(wire.BAD_PROOF, "our own tag came back")
        own = self.tags(DIALLER)
        matches = {name: topic for value in values for tag, topic in own.items() if tag == value for name in [topic_name(topic)]}
        first, self._first_topics = self._first_topics, False
        accepted = bool(matches) or (first and self.explicit and self.node.settings.accept_explicit)
        if accepted and not self.ready and not self.node.may_become_ready(self):
            return
        self._share(matches)
        settings = self.node.settings
        answer = [topic.tag(ACCEPTOR, self._exported) for topic in matches.values()]
        if settings.reflect:
            answer = values[:1]
        elif settings.shared is not None:
            answer = [bytes.fromhex(value) for value in settings.shared]
        self.control(wire.SHARED, b"".join(answer))
        if accepted:
            self._become_ready()
        elif first:
            if self.explicit:
                raise Broken(wire.REFUSED, "explicit dials are not taken here")
            raise Broken(wire.NO_TOPIC, "no topic is shared")

    def _on_shared(self, values: list[bytes]) -> None:
        if not self._asked:
            raise Broken(wire.PROTOCOL, "SHARED without TOPICS")
        shown = self._asked.pop(0)
        for value in values:
            if value not in shown:
                raise Broken(wire.BAD_PROOF, "a tag in SHARED is not right")
        matches = {topic_name(shown[value]): shown[value] for value in values}
        assert self.hello is not None
        if matches or (self.explicit and self.hello.explicit):
            if not self.ready and not self.node.may_become_ready(self):
                return
            self._share(matches)
            for name in matches.keys() - self.node.topics.keys():
                self.topic_left(name)
            self._become_ready()
        if self._topics_due:
            self._send_topics()

    def _share(self, matches: dict[str, Topic]) -> None:
        for name in matches.keys() - self.shared.keys():
            self.shared[name] = matches[name]
            self.node.emit("shared", **self.name(), topic=name)
        if self.ready:
            self._tell_legacy()

    def _on_left(self, values: list[bytes]) -> None:
        sender = 1 - self.role
        for name, topic in list(self.shared.items()):
            if topic.tag(sender, self._exported) in values:
                del self.shared[name]
                self.node.emit("left", **self.name(), topic=name)

    def _become_ready(self) -> None:
        if self.ready:
            return
        self.ready = True
        assert self.hello is not None
        self.node.emit(
            "connection",
            **self.name(),
            **self.place(),
            session="setowire/13",
            cipher=self.quic.tls.key_schedule.cipher_suite.name,
            max_message=self.hello.max_message,
            explicit=self.explicit,
            shared=sorted(self.shared),
        )
        self._tell_legacy()
        early, self._early = self._early, []
        for data in early:
            self._datagram(data)
        for stream, incoming in list(self._incoming.items()):
            if stream != 0:
                self._read(stream, incoming)

    def _tell_legacy(self) -> None:
        if self._legacy_sent or not self.node.settings.legacy:
            return
        if self.explicit or any(topic.secret is None for topic in self.shared.values()):
            self._legacy_sent = True
            self.control(wire.LEGACY, self.node.identity.v12_public)
            self._prove_legacy()

    def _prove_legacy(self) -> None:
        if self._legacy_sent and self._their_v12 is not None:
            proof = self.node.identity.legacy_proof(self._their_v12, self.role, self.quic.exporter("legacy"))
            if proof is None:
                raise Broken(wire.BAD_PROOF, "LEGACY with a key of small order")
            self.control(wire.LEGACY_PROOF, proof)

    def _on_legacy(self, kind: int, body: bytes) -> None:
        if kind == wire.LEGACY:
            if self._their_v12 is not None:
                raise Broken(wire.PROTOCOL, "a second LEGACY")
            self._their_v12 = body
            self._prove_legacy()
        else:
            if self._their_v12 is None or not self._legacy_sent or self._legacy_proved:
                raise Broken(wire.PROTOCOL, "LEGACY_PROOF out of its order")
            if body != self.node.identity.legacy_proof(self._their_v12, 1 - self.role, self.quic.exporter("legacy")):
                raise Broken(wire.BAD_PROOF, "LEGACY_PROOF is not right")
            self._legacy_proved = True
            self.node.emit("legacy", **self.name(), id=wire.v12_id(self._their_v12))

    # ---- What the application sends and receives ----

    def write(self, data: bytes) -> bool:
        assert self.hello is not None
        if not self.ready or len(data) > self.hello.max_message:
            return False
        self.sent_message = True
        self.quic.send_stream_data(self._own_stream(wire.MESSAGES), wire.varint(len(data)) + data)
        self.pump()
        return True

    def raw(self, kind: int, data: bytes) -> None:
        """Bytes of any kind on the control, messages or mesh stream."""
        self.quic.send_stream_data(0 if kind == wire.CONTROL else self._own_stream(kind), data)
        self.pump()

    def open_stream(self, unidirectional: bool, data: bytes, ended: bool) -> int:
        stream: int = self.quic.get_next_available_stream_id(is_unidirectional=unidirectional)
        self.quic.send_stream_data(stream, data, end_stream=ended)
        self.pump()
        return stream

    def update_keys(self) -> None:
        self.quic.request_key_update()
        self.quic.send_ping(0)
        self.pump()

    def moved(self) -> None:
        """We send from another address now."""
        self._leave_n()
        self.challenge(self.address)

    def _leave_n(self) -> None:
        """Watchers must not see that it is the same connection."""
        self._n, self._n_answered = self._n + self._n_answered, False

    def send_datagram(self, data: bytes) -> bool:
        if not self.ready or len(data) > wire.DATAGRAM_LIMIT:
            return False
        self.quic.send_datagram_frame(data)
        self.pump()
        return True

    def _datagram(self, data: bytes) -> None:
        self.node.emit("datagram", **self.name(), **content(data))

    def broadcast(self, time: int, data: bytes) -> None:
        """On a topic that is shared, or else as to a neighbour."""
        name = next((topic.mesh_name for topic in self.shared.values()), wire.NEIGHBOUR)
        body = wire.mesh_message(self.node.identity, name, time, data).body()
        self.quic.send_stream_data(self._own_stream(wire.MESH), wire.frame(1, body))
        self.pump()

    def _mesh_frame(self, kind: int, body: bytes) -> None:
        """A leaf's part of the mesh: checks and delivers, forwards nothing."""
        message = wire.read_mesh(kind, body)
        if message is None:
            return
        names: dict[bytes, tuple[str | None, bytes]] = {
            topic.mesh_name[:8]: (topic_name(topic), topic.mesh_name) for topic in self.shared.values()
        }
        if message.author == self.key and message.hops == 0 and not message.flags & 1:
            names[wire.NEIGHBOUR[:8]] = None, wire.NEIGHBOUR
        topic, name = names.get(message.topic, (None, None))
        if name is None or message.hops >= 16 or not message.good(name):
            return
        author = None if message.flags & 1 else message.author.hex()
        self.node.emit("broadcast", **self.name(), author=author, hops=message.hops, topic=topic, **content(message.payload))

    # ---- Paths ----

    def challenge(self, address: Address) -> None:
        nonce = os.urandom(16)
        self._challenges[self._number, nonce] = address, self.loop.time()
        self.node.send(address, wire.session_probe(self._path_key, self._n, wire.CHALLENGE, self._number, nonce))
        self._number = self._number + 1 & 0xFFFF

    def session_probe(self, data: bytes, address: Address) -> bool:
        """A SESSION_PROBE came; tells whether it was of this connection."""
        if not self.quic.established or self._reported:
            return False
        for n in range(max(self._h - 1, 0), self._h + 2):
            if (found := wire.check_session_probe(data, self._their_path_key, n)) is None:
                continue
            self._h = max(self._h, n)
            kind, number, nonce = found
            if kind == wire.ANSWER:
                self._answered(number, nonce, address)
            elif self.node.settings.answer_challenges:
                self.node.send(address, wire.session_probe(self._path_key, self._n, wire.ANSWER, number, nonce))
                self.node.emit("challenged", **self.name(), from_address=address[0], from_port=address[1], n=n)
            return True
        return False

    def _answered(self, number: int, nonce: bytes, address: Address) -> None:
        now = self.loop.time()
        asked = self._challenges.pop((number, nonce), None)
        if asked is None or asked[0] != address or now > asked[1] + ANSWER_TIME:
            return
        self._challenges = {key: value for key, value in self._challenges.items() if now <= value[1] + ANSWER_TIME}
        self._n_answered = True
        self.node.emit("path", **self.name(), confirmed=address[0], confirmed_port=address[1], rtt=now - asked[1])
        if address != self.address and address == self._last_from:
            self.address = address
            self._leave_n()


def topic_name(topic: Topic) -> str:
    return topic.topic.hex() + ("" if topic.secret is None else "+")
