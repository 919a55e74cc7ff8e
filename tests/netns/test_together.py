"""Old and modern peers on one topic: every broadcast reaches everyone, once."""

from __future__ import annotations

import hashlib
import itertools

from bed import Lan
from conftest import Figure

TOPIC = hashlib.sha256(b"together").hexdigest()
OLD = 2
OURS = 3
ROUNDS = 3


def test_everyone_gets_every_broadcast_once(figure: Figure) -> None:
    with Lan(OLD + OURS, "4") as lan:
        for host in range(OLD):
            lan.sh("route", str(host + 1))  # without one old peers announce 127.0.0.1 to each other
        old = [lan.old(host + 1) for host in range(OLD)]
        ours = [lan.ours(OLD + host + 1) for host in range(OURS)]
        everyone = old + ours
        for peer in everyone:
            peer.start(topic=TOPIC)
        for one, other in itertools.permutations(everyone, 2):
            one.connection(other)
        said = {}
        for turn in range(ROUNDS):
            for n, peer in enumerate(everyone):
                # Old peers drop an equal content, whoever says it.
                text = f"round {turn}, said by {n}".encode()
                said[text] = peer
                peer.ask("broadcast", "broadcasted", hex=text.hex())
                for other in everyone:
                    if other is not peer:
                        other.receive(text)
        # What is on its way comes before the answer to a message that was sent after it.
        for one, other in itertools.permutations(everyone, 2):
            text = f"last words of {everyone.index(one)} to {everyone.index(other)}".encode()
            one.write(other, text)
            other.receive(text)
        for text, author in said.items():
            for peer in everyone:
                copies = len(peer.find(peer.got(text)))
                assert copies == (peer is not author), f"{peer.name} got {text!r} {copies} times\n{peer.report()}"
        figure(f"{len(said)} broadcasts among {OLD} old and {OURS} modern peers, each once at each of the others")
