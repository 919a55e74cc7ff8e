"""Addresses, interfaces and paths change while two of ours talk: nothing is lost, and the connection stays."""

from __future__ import annotations

import pytest
from conftest import Figure
from roaming import CHANGES, Change, roam


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_messages_flow_on(change: Change, figure: Figure) -> None:
    roamed = roam(change, changes=3)
    times = ", ".join(f"{max(pair):.0f}" for pair in roamed.times)
    figure(f"{times} ms until messages flow both ways again; {roamed.messages} messages")
