#!/usr/bin/env python3
"""An independent peer of setowire/13 behind JSON lines, on the Python package `aioquic`.

Written from docs/protocol.md alone, to find out whether that page is enough, and
whether our peer does what it says. README.md beside this file lists commands and
events. Run it only where multicast and its dials may go: in a network namespace.

v13_wire.py has the bytes and keys, v13_quic.py mutual TLS and the exporter,
v13_session.py one connection; this file the sockets, PROBE, beacons and dials.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import ipaddress
import json
import os
import random
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any

import v13_quic as quic
import v13_wire as wire
from aioquic.quic.retry import QuicRetryTokenHandler  # type: ignore[import-not-found]
from v13_session import Address, Session, Settings, topic_name

EVENTS = sys.stdout
sys.stdout = sys.stderr

GROUPS = {4: ("239.0.0.1", 45678), 6: ("ff12::5345:544f:5749:5245", 45678)}
BEACON_PERIOD = 5.0
PROBES, PROBE_PERIOD, PROBE_PATIENCE = 5, 0.3, 3.0
ACKS_AT_ONCE, ACKS_PER_SECOND = 64, 16
RETRIES_PER_SECOND = 1_000
SELF_PAUSE = 600.0
SIOCGIFADDR = 0x8915

Command = dict[str, Any]
Answer = tuple[str, dict[str, Any]]
Take = Callable[[bytes, Address], None]


def emit(event: str, /, **fields: Any) -> None:
    EVENTS.write(json.dumps({"ev": event, **fields}) + "\n")
    EVENTS.flush()


@dataclass
class Dial:
    """One dial under way; `found` gets the PROBE_ACK."""

    address: Address
    key: bytes | None
    found: asyncio.Future[wire.Ack]
    session: Session | None = None


class Bucket:
    """So many at once, and so many a second after that."""

    def __init__(self, size: float, rate: float) -> None:
        self._size, self._rate, self._left, self._at = size, rate, size, time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._size, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Sockets:
    """The main socket of each family and the sockets of the beacons."""

    def __init__(self, port: int, interfaces: list[str], received: Take, heard: Take) -> None:
        self.main: dict[int, socket.socket] = {}
        self._groups: dict[int, socket.socket] = {}
        self._indices = [index for index, name in socket.if_nameindex() if (name in interfaces if interfaces else name != "lo")]
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            try:
                self.main[version] = self._open(family, port, received)
                self._groups[version] = self._open(family, GROUPS[version][1], heard)
            except OSError as error:
                print(f"no IPv{version} here: {error}", file=sys.stderr)
                continue
            for index in self._indices:
                self._join(version, index)

    def _open(self, family: int, port: int, take: Take) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port == GROUPS[4][1]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        sock.bind(("", port))
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock, self._read, sock, take)
        return sock

    def move(self, received: Take) -> None:
        """Another main socket of IPv4 instead of the one there was."""
        old = self.main[4]
        self.main[4] = self._open(socket.AF_INET, 0, received)
        asyncio.get_running_loop().remove_reader(old)
        old.close()

    def _join(self, version: int, index: int) -> None:
        group = socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, GROUPS[version][0])
        sock = self._groups[version]
        try:
            if version == 4:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + struct.pack("=4si", bytes(4), index))
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=i", index))
        except OSError as error:
            print(f"no multicast of IPv{version} on interface {index}: {error}", file=sys.stderr)

    @staticmethod
    def _read(sock: socket.socket, take: Take) -> None:
        for _ in range(64):
            try:
                data, address = sock.recvfrom(65_536)
            except BlockingIOError:
                return
            except OSError:
                continue  # what ICMP said about a datagram of ours
            try:
                take(data, address)
            except Exception:
                traceback.print_exc()
                emit("error", cmd=None, message=traceback.format_exc(limit=-3))

    def address(self) -> str:
        """The IPv4 address of the first interface that beacons leave by."""
        for index in self._indices:
            try:
                request = struct.pack("256s", socket.if_indextoname(index).encode())
                return socket.inet_ntoa(fcntl.ioctl(self.main[4], SIOCGIFADDR, request)[20:24])
            except (OSError, KeyError):
                continue
        return "127.0.0.1"

    def port(self, version: int) -> int:
        return int(self.main[version].getsockname()[1]) if version in self.main else 0

    def send(self, address: Address, data: bytes) -> None:
        sock = self.main.get(6 if ":" in address[0] else 4)
        if sock is not None:
            try:
                sock.sendto(data, address)
            except OSError as error:
                print(f"to {address}: {error}", file=sys.stderr)

    def multicast(self, data: bytes) -> None:
        for version, sock in self._groups.items():
            for index in self._indices:
                if version == 4:
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
                    address: Address = GROUPS[4]
                else:
                    address = (*GROUPS[6], 0, index)
                try:
                    sock.sendto(data, address)  # TTL 1 and loop on are the defaults of the system
                except OSError as error:
                    print(f"beacon on interface {index}: {error}", file=sys.stderr)


class Peer:
    """One swarm and the commands for it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.over, self.alone = asyncio.Event(), asyncio.Event()
        self.settings = Settings()
        self.topics: dict[str, wire.Topic] = {}
        self.instance = time.time_ns() // 1_000
        self.sessions: list[Session] = []
        self.routes: dict[bytes, Session] = {}
        # An Initial goes by both of its ids: two dials from one address in a minute have the same cookie.
        self.initials: dict[tuple[bytes, bytes], Session] = {}
        self.probes: dict[bytes, tuple[Dial, float]] = {}
        self.dials: list[Dial] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self._cookies = wire.Cookies()
        self._tokens = QuicRetryTokenHandler()
        self._retries = Bucket(RETRIES_PER_SECOND, RETRIES_PER_SECOND)
        self._acks: dict[str, Bucket] = {}
        self._nonces: set[bytes] = set()
        self._ourselves: dict[Address, float] = {}
        self._time = 0
        self._sockets: Sockets | None = None

    # ---- What sessions need ----

    def send(self, address: Address, data: bytes) -> None:
        assert self._sockets is not None
        self._sockets.send(address, data)

    def emit(self, event: str, **fields: Any) -> None:
        emit(event, **fields)

    def route(self, connection_id: bytes, session: Session) -> None:
        self.routes[connection_id] = session

    def unroute(self, connection_id: bytes) -> None:
        self.routes.pop(connection_id, None)

    def ended(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
        self.routes = {name: other for name, other in self.routes.items() if other is not session}
        self.initials = {names: other for names, other in self.initials.items() if other is not session}
        self.dials = [dial for dial in self.dials if dial.session is not session]
        if session.key == self.identity.key and session.role == wire.DIALLER:
            self._ourselves[session.address[:2]] = time.monotonic() + SELF_PAUSE
        if not self.sessions:
            self.alone.set()

    def may_become_ready(self, new: Session) -> bool:
        """Decides between two connections of the same pair; false if `new` lost."""
        assert new.key is not None and new.hello is not None
        greater = self.identity.key > new.key
        old = next((other for other in self.sessions if other is not new and other.ready and other.key == new.key), None)
        if old is None:
            for dial in self.dials:
                under_way = dial.session not in (None, new) and new.key in (dial.key, dial.session and dial.session.key)
                if under_way and greater and new.role == wire.ACCEPTOR:
                    new.close(wire.DUPLICATE, "a dial of ours is under way")
                    return False
            self._dial_over(new)
            return True
        assert old.hello is not None
        if old.hello.instance != new.hello.instance:
            loser, code = (old, wire.REPLACED) if old.hello.instance < new.hello.instance else (new, wire.REPLACED)
        elif new.role == wire.DIALLER:
            loser, code = old, wire.DUPLICATE
        else:
            keep_new = old.role == wire.ACCEPTOR or (old.sent_message and old.got_message) or not greater
            loser, code = (old, wire.DUPLICATE) if keep_new else (new, wire.DUPLICATE)
        loser.close(code)
        self._dial_over(new)
        if loser is new:
            return False
        loser.pump()  # its end is reported before the other's beginning
        return True

    def _dial_over(self, session: Session) -> None:
        self.dials = [dial for dial in self.dials if dial.session is not session]

    # ---- Datagrams ----

    def received(self, data: bytes, address: Address) -> None:
        if not data:
            return
        if data[0] & 0x40:
            self._quic(data, address)
        elif data[0] == 0xA3:
            self._probe(data, address)
        elif data[0] == 0xA4:
            self._ack(data, address)
        elif data[0] == 0xA5 and len(data) == 44:
            any(session.session_probe(data, address) for session in list(self.sessions))

    def _probe(self, data: bytes, address: Address) -> None:
        nonce = wire.probe_nonce(data, self.identity.key)
        if self.settings.answer_any_probe and len(data) == 64:
            nonce = data[2:18]
        if nonce is None or not self.settings.answer_probes:
            return
        if not self._acks.setdefault(address[0], Bucket(ACKS_AT_ONCE, ACKS_PER_SECOND)).take():
            return
        ip, port = address[:2]
        cookie = os.urandom(16) if self.settings.bad_cookies else self._cookies.make(ip, port, time.monotonic())
        self.send(address, wire.probe_ack(nonce, cookie, ip, port))

    def _ack(self, data: bytes, address: Address) -> None:
        ack = wire.read_ack(data)
        if ack is None or ack.nonce not in self.probes:
            return
        dial, sent = self.probes[ack.nonce]
        if same(dial.address, address) and time.monotonic() <= sent + PROBE_PATIENCE and not dial.found.done():
            del self.probes[ack.nonce]
            dial.found.set_result(ack)

    def _quic(self, data: bytes, address: Address) -> None:
        try:
            header = quic.pull_quic_header(quic.Buffer(data=data), host_cid_length=quic.ID_LENGTH)
        except ValueError:
            return
        session = self.routes.get(header.destination_cid) or self.initials.get((header.destination_cid, header.source_cid))
        if session is not None:
            session.receive(data, address)
        elif len(data) < 1_200 or header.version is None:
            pass
        elif header.version != quic.VERSION:
            if header.packet_type != quic.QuicPacketType.VERSION_NEGOTIATION:
                ids = {"source_cid": header.destination_cid, "destination_cid": header.source_cid}
                self.send(address, quic.encode_quic_version_negotiation(**ids, supported_versions=[quic.VERSION]))
        elif header.packet_type == quic.QuicPacketType.INITIAL:
            self._initial(header, data, address)

    def _initial(self, header: Any, data: bytes, address: Address) -> None:
        original, retry = self._token(header, address), header.destination_cid
        if original is None:
            if not self._cookies.good(header.destination_cid, address[0], address[1], time.monotonic()):
                if self._retries.take():
                    self._retry(header, address)
                return
            original, retry = header.destination_cid, None
        connection = quic.MutualQuic(self.identity, cipher=self.settings.cipher, original=original, retry=retry)
        session = Session(self, connection, wire.ACCEPTOR, address)
        self.sessions.append(session)
        self.initials[header.destination_cid, header.source_cid] = session
        self.route(connection.host_cid, session)
        session.receive(data, address)

    def _token(self, header: Any, address: Address) -> bytes | None:
        """The first destination id of a dialler that took our Retry."""
        try:
            original: bytes = self._tokens.validate_token(
                address=address[:2], destination_cid=header.destination_cid, token=header.token, now=time.monotonic()
            )
            return original
        except ValueError:
            return None

    def _retry(self, header: Any, address: Address) -> None:
        source = os.urandom(quic.ID_LENGTH)
        token = self._tokens.create_token(
            address=address[:2],
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=source,
            now=time.monotonic(),
        )
        packet = quic.encode_quic_retry(
            version=header.version,
            source_cid=source,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
        emit("retry", address=address[0], port=address[1])
        self.send(address, packet)

    # ---- Dials ----

    async def dial(self, address: Address, key: bytes | None, explicit: bool, probe: bool) -> None:
        dial = Dial(address, key, self.loop.create_future())
        self.dials.append(dial)
        cookie = None
        if probe:
            ack = await self._find(dial)
            if ack is None:
                self.dials.remove(dial)
                emit("dial_failed", ip=address[0], port=address[1], message="nobody answered a PROBE")
                return
            cookie = ack.cookie
            emit("told", ip=ack.ip, port=ack.port)
        if key is not None and self.connected(key):
            self.dials.remove(dial)
            return
        settings = self.settings
        certificates = None if settings.certificates is None else [bytes.fromhex(text) for text in settings.certificates]
        connection = quic.MutualQuic(
            self.identity, cipher=settings.cipher, expected=key, cookie=cookie, certificates=certificates
        )
        dial.session = Session(self, connection, wire.DIALLER, address, explicit)
        self.sessions.append(dial.session)
        self.route(connection.host_cid, dial.session)
        dial.session.begin()

    async def _find(self, dial: Dial) -> wire.Ack | None:
        nonces = []
        try:
            for attempt in range(PROBES):
                nonce = os.urandom(16)
                nonces.append(nonce)
                self.probes[nonce] = dial, time.monotonic()
                self.send(dial.address, wire.probe(nonce, dial.key))
                last = attempt == PROBES - 1
                done, _ = await asyncio.wait([dial.found], timeout=PROBE_PATIENCE if last else PROBE_PERIOD)
                if done:
                    return dial.found.result()
            return None
        finally:
            for nonce in nonces:
                self.probes.pop(nonce, None)

    def connected(self, key: bytes) -> bool:
        return any(other.key == key and other.ready for other in self.sessions)

    # ---- Beacons ----

    def heard(self, data: bytes, source: Address) -> None:
        if not wire.is_beacon(data) or data[18:30] in self._nonces:
            return
        today = int(time.time()) // 86_400
        for topic in self.topics.values():
            found = topic.open(data, range(today - 1, today + 2))
            if found is None:
                continue
            self._nonces.add(data[18:30])
            key, v4, v6, _instance = found
            port = v6 if ":" in source[0] else v4
            address = (source[0], port, *source[2:])
            if key == self.identity.key or port == 0 or self.connected(key):
                return
            if any(dial.key == key for dial in self.dials) or self._ourselves.get(address[:2], 0) > time.monotonic():
                return
            emit("heard", key=key.hex(), address=source[0], port=port)
            self.spawn(self.dial(address, key, explicit=False, probe=True))
            return

    async def announce(self, name: str) -> None:
        for pause in (0.4, None):
            self._beacon(name)
            if pause:
                await asyncio.sleep(pause)
        while name in self.topics:
            await asyncio.sleep(BEACON_PERIOD * random.uniform(0.9, 1.1))
            self._beacon(name)

    def _beacon(self, name: str) -> None:
        topic = self.topics.get(name)
        if topic is not None and self._sockets is not None:
            ports = self._sockets.port(4), self._sockets.port(6)
            day = int(time.time()) // 86_400
            self._sockets.multicast(topic.announce(day, os.urandom(12), self.identity.key, *ports, self.instance))

    # ---- Commands ----

    async def cmd_start(self, command: Command) -> Answer:
        if self._sockets is not None:
            raise RuntimeError("it is started already")
        self.cmd_settings_now(command)
        seed = bytes.fromhex(command["seed"]) if command.get("seed") else os.urandom(32)
        self.identity = wire.Identity(seed)
        self.instance = command.get("instance") or self.instance
        interfaces = command.get("lan_interfaces") or []
        names = interfaces.split(",") if isinstance(interfaces, str) else interfaces
        self._lan = command.get("lan", True)
        self._sockets = Sockets(command.get("port") or 0, names, self.received, self.heard)
        if command.get("topic") or command.get("name"):
            await self.cmd_join(command)
        return "ready", self.description()

    def cmd_settings_now(self, command: Command) -> None:
        for setting in fields(Settings):
            if setting.name in command:
                setattr(self.settings, setting.name, command[setting.name])

    async def cmd_settings(self, command: Command) -> Answer:
        self.cmd_settings_now(command)
        if command.get("hold") is False:
            for session in list(self.sessions):
                if session.role == wire.DIALLER:
                    session.say_hello()
                    session.pump()
        return "set", {}

    async def cmd_join(self, command: Command) -> Answer:
        topic = topic_of(command)
        name = topic_name(topic)
        self.topics[name] = topic
        if self._lan:
            self.spawn(self.announce(name))
        for session in list(self.sessions):
            session.topics_changed()
        return "joined", {"topic": name}

    async def cmd_leave(self, command: Command) -> Answer:
        name = topic_name(topic_of(command))
        del self.topics[name]
        for session in list(self.sessions):
            session.topic_left(name)
        return "left_topic", {"topic": name}

    async def cmd_dial(self, command: Command) -> Answer:
        ip, port = command["ip"], int(command["port"])
        address = (ip, port) if ":" not in ip else socket.getaddrinfo(ip, port, socket.AF_INET6)[0][4]
        key = bytes.fromhex(command["key"]) if command.get("key") else None
        self.spawn(self.dial(address, key, command.get("explicit", True), command.get("probe", True)))
        return "dialing", {"ip": ip, "port": port}

    async def cmd_write(self, command: Command) -> Answer:
        return "wrote", {"peer": command["peer"], "ok": self.find(command).write(payload(command))}

    async def cmd_datagram(self, command: Command) -> Answer:
        return "wrote", {"peer": command["peer"], "ok": self.find(command).send_datagram(payload(command))}

    async def cmd_broadcast(self, command: Command) -> Answer:
        self._time = max(self._time + 1, time.time_ns() // 1_000)
        ready = [session for session in self.sessions if session.ready]
        for session in ready:
            session.broadcast(self._time, payload(command))
        return "broadcasted", {"sent": len(ready)}

    async def cmd_raw(self, command: Command) -> Answer:
        """Bytes on a stream of ours: 0 control, 2 messages, 3 mesh."""
        self.find(command).raw(command["stream"], payload(command))
        return "wrote", {"peer": command["peer"], "ok": True}

    async def cmd_tags(self, command: Command) -> Answer:
        """The proofs of every topic on this connection, by role."""
        session = self.find(command)
        return "tags", {name: [tag.hex() for tag in session.tags(role)] for name, role in (("dialler", 0), ("acceptor", 1))}

    async def cmd_challenge(self, command: Command) -> Answer:
        session = self.find(command)
        session.challenge(session.address)
        return "challenging", session.place()

    async def cmd_open(self, command: Command) -> Answer:
        """A stream of any type: its first bytes."""
        stream = self.find(command).open_stream(command["unidirectional"], payload(command), command.get("ended", False))
        return "opened", {"stream": stream}

    async def cmd_update_keys(self, command: Command) -> Answer:
        self.find(command).update_keys()
        return "updating", {}

    async def cmd_move(self, command: Command) -> Answer:
        """Sends from another port from now on, and receives there only."""
        assert self._sockets is not None
        self._sockets.move(self.received)
        for session in list(self.sessions):
            if session.ready:
                session.moved()
        return "moved", self.description()

    async def cmd_close(self, command: Command) -> Answer:
        self.find(command).close(command.get("code", wire.CLOSED), command.get("reason", ""))
        return "closing", {"peer": command["peer"]}

    async def cmd_peers(self, command: Command) -> Answer:
        return "peers", {"peers": [{"id": s.name()["peer"], **s.name(), **s.place(), "open": True} for s in self.sessions if s.ready]}

    async def cmd_info(self, command: Command) -> Answer:
        return "info", self.description()

    async def cmd_destroy(self, command: Command) -> Answer:
        for session in list(self.sessions):
            session.close(wire.GOING)
            session.pump()
        if self.sessions:
            await self.alone.wait()  # no longer than 500 ms: that is how long a session closes
        self.over.set()
        return "destroyed", {}

    def description(self) -> dict[str, Any]:
        assert self._sockets is not None
        ip = self._sockets.address()
        key = self.identity.key.hex()
        ports = {"port": self._sockets.port(4) or self._sockets.port(6), "port6": self._sockets.port(6)}
        return {"id": key, "key": key, "v12_id": wire.v12_id(self.identity.v12_public), "ip": ip, **ports, "impl": "aioquic"}

    def find(self, command: Command) -> Session:
        wanted = command["peer"]
        for session in self.sessions:
            if session.ready and session.key is not None and wanted and wanted[:16] == session.key.hex()[:16]:
                return session
        raise KeyError(f"no peer {wanted} is connected")

    async def run(self, line: str) -> None:
        name, answer_to = None, {}
        try:
            command = json.loads(line)
            answer_to = {"req": command["req"]} if "req" in command else {}
            name = command["cmd"]
            if self._sockets is None and name not in ("start", "destroy"):
                raise RuntimeError("send start first")
            work: Callable[[Command], Awaitable[Answer]] = getattr(self, f"cmd_{name}")
            event, answer = await work(command)
            emit(event, **answer, **answer_to)
        except Exception as error:
            traceback.print_exc()
            emit("error", cmd=name, message=f"{type(error).__name__}: {error}", **answer_to)

    def submit(self, line: str) -> None:
        self.spawn(self.run(line))

    def spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def same(one: Address, other: Address) -> bool:
    scopes = [address[3] if len(address) == 4 else 0 for address in (one, other)]
    return ipaddress.ip_address(one[0]) == ipaddress.ip_address(other[0]) and one[1] == other[1] and scopes[0] == scopes[1]


def topic_of(command: Command) -> wire.Topic:
    topic = hashlib.sha256(command["name"].encode()).digest() if command.get("name") else bytes.fromhex(command["topic"])
    return wire.Topic(topic, bytes.fromhex(command["secret"]) if command.get("secret") else None)


def payload(command: Command) -> bytes:
    """The bytes of a command, or so many bytes of a pattern."""
    if "hex" in command:
        return bytes.fromhex(command["hex"])
    return bytes(index % 251 for index in range(command["size"]))


async def main() -> None:
    loop = asyncio.get_running_loop()
    peer = Peer()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(peer.submit, line)
        loop.call_soon_threadsafe(peer.submit, '{"cmd":"destroy"}')

    threading.Thread(target=read, daemon=True).start()
    await peer.over.wait()


if __name__ == "__main__":
    asyncio.run(main())
