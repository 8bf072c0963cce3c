"""The sequence of measurements: each step with one peer after the other, so that all see the same machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import methodcaller

from .datasets import DataError
from .peers.base import MissingPeer, Peer, PeerError, Settings, Task
from .peers.engines import ENGINES
from .peers.library import LibraryPeer
from .peers.postgres import METHODS, PostgresPeer
from .server import ServerError

PEERS: dict[str, type[Peer]] = {**dict.fromkeys(METHODS, PostgresPeer), **dict.fromkeys(ENGINES, LibraryPeer)}

EF_AFTER_WRITES = 40


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def find_peers(names: list[str], task: Task, settings: Settings) -> list[Peer]:
    """Those that can be measured here; says which cannot, and why."""
    peers = []
    for name in names:
        try:
            peers.append(PEERS[name](name, task, settings))
        except MissingPeer as reason:
            say(f"{name}: left out: {reason}")
    if not peers:
        raise DataError("no peer can be measured")
    return peers


class Sequence:
    """Runs the parts over the peers.  One that fails is left out of what follows.

    A part has a method here of its name; what it needs of a peer is in
    Peer and implemented under peers/.
    """

    def __init__(self, peers: list[Peer]):
        self.peers = peers

    def run(self, parts: list[str]) -> None:
        try:
            self._each(methodcaller("prepare"))
            for part in parts:
                getattr(self, part)()
        finally:
            for peer in self.peers:
                self._try(peer, methodcaller("close"))

    def build(self) -> None:
        self._each(methodcaller("build"), "build")

    def search(self) -> None:
        """The curves, point by point; last, what each peer does by itself."""
        self._each(methodcaller("prepare_search"), "search")
        longest = max(len(peer.ladder) for peer in self.peers)
        for step in range(longest):
            self._each(methodcaller("search_step", step), "search")
        self._each(methodcaller("search", None, "search_default"), "search")

    def insert(self) -> None:
        self._writes("insert")

    def vacuum(self) -> None:
        self._writes("vacuum")

    def _writes(self, part: str) -> None:
        self._each(methodcaller(part), part)
        self._each(methodcaller("prepare_search"), part)
        self._each(methodcaller("search", EF_AFTER_WRITES, f"search_after_{part}"), part)
        self._each(methodcaller("search", None, f"search_default_after_{part}"), part)

    def filter(self) -> None:
        """Workload by workload, so that all answer the same questions one after the other."""
        self._each(methodcaller("prepare_filter"), "filter")
        for number in range(len(self.peers[0].task.filters.workloads)):
            self._each(methodcaller("filter_step", number), "filter")

    def _each(self, step: Callable[[Peer], object], part: str | None = None) -> None:
        for peer in self.peers:
            if "error" not in peer.results and (part is None or part in peer.parts):
                self._try(peer, step)

    @staticmethod
    def _try(peer: Peer, step: Callable[[Peer], object]) -> None:
        try:
            step(peer)
        except (ServerError, PeerError) as error:
            peer.results.setdefault("error", str(error))
            peer.say(f"failed: {error}")


PARTS = ["build", "search", "insert", "vacuum", "filter"]
