"""The interop driver: every command and event of its protocol."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

from conftest import DEADLINE, ROOT, loopback
from programs import Program

DRIVER = ROOT / "tests" / "interop" / "driver.py"


def driver(folder: Path) -> Program:
    return Program.python(DRIVER, folder=folder)


def start(program: Program, **fields: Any) -> dict[str, Any]:
    options = {"seed": None, "topic": None, "storage": False, "bind": "127.0.0.1:0", "lan_interfaces": loopback()}
    return program.ask("start", "ready", **{**options, **fields})


def test_two_drivers_talk(tmp_path: Path) -> None:
    name = os.urandom(8).hex()
    with driver(tmp_path) as one, driver(tmp_path) as other:
        ready = start(one, seed="01" * 32, name=name, storage=True, relay=True, piping_servers=["a"], max_peers=7)
        assert ready["id"] == "6e46eb890d7b6ca5204178b3432f1dd6c06bc5f4"
        assert (ready["ip"], ready["impl"], ready["nat"], ready["public"]) == ("127.0.0.1", "setowire", "unknown", None)
        assert "storage is not used" in one.report() and "piping_servers is not used" in one.report()
        there = start(other)
        joined = other.ask("join", "joined", name=name)
        topic = hashlib.sha256(name.encode()).hexdigest()
        assert joined["topic_hash"] == hashlib.sha1(topic.encode()).hexdigest()[:12]

        met = one.event("connection")
        assert met == {
            "ev": "connection",
            "peer": there["key"][:16],
            "address": "127.0.0.1",
            "port": there["port"],
            "session": "setowire/13",
            "topics": 1,
        }
        other.event("connection", peer=ready["key"][:16])

        for peer in (there["key"], there["key"][:16], there["key"][:6]):
            assert one.ask("write", "wrote", peer=peer, hex="6869")["ok"] is True
        got = other.event("data")
        digest = hashlib.sha256(b"hi").hexdigest()
        assert got == {"ev": "data", "peer": ready["key"][:16], "len": 2, "sha256": digest, "hex": "6869"}

        assert other.ask("broadcast", "broadcasted", hex="ff")["sent"] == 1
        one.event("data", hex="ff")

        (peer,) = one.ask("peers", "peers")["peers"]
        assert peer["id"] == there["key"][:16] and peer["port"] == there["port"] and peer["address"] == "127.0.0.1"
        assert set(peer) == {"id", "address", "port", "rtt", "mesh", "open"} and peer["open"] is True
        info = one.ask("info", "info")
        assert {**info, "ev": "", "req": 0} == {**ready, "ev": "", "req": 0}

        assert other.ask("destroy", "destroyed")
        one.event("disconnect", peer=there["key"][:16])
        assert other.end() == 0
        assert one.end() == 0, "closing stdin ends it"
        one.event("destroyed")


def test_dial(tmp_path: Path) -> None:
    with driver(tmp_path) as one, driver(tmp_path) as other:
        start(one, lan=False)
        there = start(other, lan=False)
        assert one.ask("dial", "dialing", ip="127.0.0.1", port=there["port"])["port"] == there["port"]
        one.event("connection", peer=there["key"][:16])
        assert (one.end(), other.end()) == (0, 0)


def test_commands_that_fail_answer_error(tmp_path: Path) -> None:
    with driver(tmp_path) as one:
        assert "not started" in one.ask("peers", "error")["message"]
        assert one.ask("start", "error", seed="nonsense")["cmd"] == "start"
        start(one)
        assert "already started" in one.ask("start", "error")["message"]
        assert "KeyError: 'no such peer: 00'" == one.ask("write", "error", peer="00", hex="")["message"]
        for name in ("store", "fetch"):
            answer = one.ask(name, "error", key="k", hex="00", timeout=1)
            assert answer["cmd"] == name and "not available in this version" in answer["message"]
        assert "unknown command: dance" in one.ask("dance", "error")["message"]
        assert one.ask("join", "error", topic="00")["cmd"] == "join"
        one.tell("this is not JSON")
        assert one.event("error", cmd=None)["message"].startswith("JSONDecodeError")
        assert one.end() == 0


def test_a_command_to_terminate_ends_it(tmp_path: Path) -> None:
    with driver(tmp_path) as one:
        start(one)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(DEADLINE) == 0


def test_ends_before_it_was_started(tmp_path: Path) -> None:
    with driver(tmp_path) as one:
        assert one.end() == 0
        one.event("destroyed")
