"""Memory of processes, the peers' children, and whole runs on little data."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

from omenbench import datasets, memory
from omenbench.measure import Sequence
from omenbench.peers.base import MissingPeer, Peer, PeerError, Settings, Task
from omenbench.peers.engines import ENGINES
from omenbench.peers.library import LibraryPeer
from omenbench.peers.writes import seconds_in_index
from omenbench.server import Database

BENCH = datasets.BENCH
SETTINGS = Settings(k=5, ladder=(10, 50), clients=(1, 2), seconds=0.05, rounds=1, m=8, ef_construction=32,
                    processes=1, memory="64MB")


class Memory(unittest.TestCase):
    def test_sampler_sees_what_a_process_takes(self):
        script = "import time; x = bytearray(50_000_000); print(flush=True); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            try:
                process.stdout.readline()
                with memory.Sampler(lambda: [process.pid], interval_s=0.01) as sampler:
                    time.sleep(0.3)
            finally:
                process.kill()
        self.assertEqual(sampler.n_processes, 1)
        self.assertGreater(sampler.peak, 50_000_000)
        self.assertLess(sampler.peak, 100_000_000)

    def test_children(self):
        with subprocess.Popen(["sleep", "60"]) as process:
            deadline = time.monotonic() + 5
            while memory.children(os.getpid()).get(process.pid) != "sleep 60" and time.monotonic() < deadline:
                time.sleep(0.01)                # between fork and exec it has our title
            titles = memory.children(os.getpid())
            process.kill()
        self.assertEqual(titles.get(process.pid), "sleep 60")

    def test_nothing_to_see(self):
        with memory.Sampler(lambda: [], interval_s=0.01) as sampler:
            time.sleep(0.05)
        self.assertIsNone(sampler.peak)


class FakePeer(Peer):
    """Fails at a step of the ladder."""

    def __init__(self, name, fails_at):
        super().__init__(name, Task(datasets.synthetic(100, 4, 5), 100, 100), SETTINGS)
        self.fails_at = fails_at
        self.closed = 0

    def say(self, text):
        pass

    def prepare(self):
        pass

    def build(self):
        self.note_build(1.0, 100, None)

    def measure_search(self, ef):
        if ef == self.fails_at:
            raise PeerError("broken")
        return {"recall": 1.0, "tps": {"1": 1.0}}

    def close(self):
        self.closed += 1


class Steps(unittest.TestCase):
    def test_one_fails_the_others_go_on(self):
        good, bad = FakePeer("good", 0), FakePeer("bad", 50)
        Sequence([bad, good]).run(["build", "search", "insert"])
        self.assertEqual([point["ef_search"] for point in good.results["search"]], [10, 50])
        self.assertEqual(good.results["search_default"][0]["ef_search"], "default")
        self.assertEqual([point["ef_search"] for point in bad.results["search"]], [10])
        self.assertEqual(bad.results["error"], "broken")
        self.assertNotIn("search_default", bad.results)
        self.assertEqual((good.closed, bad.closed), (1, 1))


class Libraries(unittest.TestCase):
    """Each one that is installed."""

    def check(self, name, metric="l2"):
        data = datasets.with_metric(datasets.synthetic(1000, 16, 20), metric)
        try:
            peer = LibraryPeer(name, Task(data, 900, 1000), SETTINGS)
        except MissingPeer as reason:
            self.skipTest(str(reason))
        peer.say = lambda text: None
        Sequence([peer]).run(["build", "search"])
        self.assertNotIn("error", peer.results)
        self.assertEqual(peer.results["build"]["rows"], 900)
        self.assertGreater(peer.results["build"]["bytes_per_vector"], 16)
        self.assertGreater(peer.results["search"][-1]["recall"], 0.9)
        tps = peer.results["search"][-1]["tps"]
        self.assertEqual(sorted(tps), ["1", "2"] if ENGINES[name][0].concurrent else ["1"])
        self.assertGreater(min(tps.values()), 0)

    def test_hnswlib(self):
        self.check("hnswlib")

    def test_faiss(self):
        self.check("faiss", "cosine")

    def test_faiss_sq8(self):
        self.check("faiss-sq8")

    def test_qdrant(self):
        self.check("qdrant")

    def test_qdrant_int8(self):
        self.check("qdrant-int8", "cosine")

    def test_unknown_metric(self):
        data = datasets.with_metric(datasets.synthetic(100, 4, 5), "l1")
        with self.assertRaises(MissingPeer):
            LibraryPeer("hnswlib", Task(data, 100, 100), SETTINGS)


@unittest.skipUnless("PGHOST" in os.environ, "no server (PGHOST)")
class Watches(unittest.TestCase):
    def test_answers_while_it_lasts(self):
        with Database("postgres").watch("SELECT 'a', 'b'", 0.01) as watched:
            time.sleep(0.3)
        self.assertGreater(len(watched.rows), 5)
        self.assertEqual(watched.rows[0], ["a", "b"])

    def test_latencies(self):
        start = time.time()
        times = Database("postgres").latencies("SELECT pg_sleep(0.1);", 1)
        self.assertTrue(8 <= len(times) <= 11, times)
        for end, latency in times:
            self.assertTrue(start < end < start + 5 and 0.1 <= latency < 0.2, times)


class Phases(unittest.TestCase):
    def test_seconds_in_index(self):
        samples = [["1.0", "scanning heap"], ["1.5", "vacuuming indexes"], ["1.75", "vacuuming indexes"],
                   ["2.0", "vacuuming heap"], ["3.0", "cleaning up indexes"], ["3.5", "truncating heap"]]
        self.assertEqual(seconds_in_index(samples), 1.0)
        self.assertEqual(seconds_in_index([]), 0)


@unittest.skipUnless("PGHOST" in os.environ, "no server (PGHOST)")
class WholeRuns(unittest.TestCase):
    def run_bench(self, *arguments):
        """The results of the one run, and the names of all files written."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-B", os.path.join(BENCH, "run"), "--data", "synthetic", "--dims", "16",
                 "--out", folder, *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            names = sorted(os.listdir(folder))
            path = next(name for name in names if name.endswith(".json"))
            with open(os.path.join(folder, path), encoding="utf-8") as file:
                return json.load(file), names, done.stdout.decode()

    def test_comparison(self):
        results, names, page = self.run_bench(
            "--n", "2000", "--peers", "omenvec", "--clients", "1", "--seconds", "1", "--ef", "40",
            "--insert", "100", "--processes", "1", "--parts", "build,search,insert,vacuum")
        peer = results["peers"]["omenvec"]
        self.assertTrue(peer["index_used"])
        self.assertEqual(peer["build"]["rows"], 1900)
        self.assertGreater(peer["build"]["vectors_per_second"], 0)
        for curve in ("search", "search_default", "search_after_insert", "search_after_vacuum"):
            self.assertGreater(peer[curve][0]["recall"], 0.9, curve)
            self.assertGreater(peer[curve][0]["tps"]["1"], 0, curve)
        insert, vacuum = peer["insert"], peer["vacuum"]
        self.assertEqual((insert["rows"], insert["singles"]), (50, 50))
        self.assertGreater(insert["wal_bytes_per_single"], 0)
        self.assertGreater(insert["singles_per_second_without_index"], 0)
        self.assertGreaterEqual(insert["rows_per_second"], insert["rows_per_second_maintained"])
        self.assertGreater(insert["wal_bytes_per_row"], insert["wal_bytes_per_row_without_index"])
        self.assertGreater(insert["reader"]["before"]["queries"], 0)
        self.assertGreater(insert["reader"]["before"]["p99_ms"], insert["reader"]["before"]["p50_ms"])
        self.assertGreater(vacuum["index_blocks"], 0)
        self.assertLess(0, vacuum["index_wal_bytes"])
        self.assertLess(vacuum["index_wal_bytes"], vacuum["wal_bytes"])
        self.assertLessEqual(vacuum["index_seconds"], vacuum["seconds"])
        self.assertIn("| build, vectors/s |", page)
        self.assertTrue(any(name.endswith(".md") for name in names))

    def test_filtered(self):
        results, _, page = self.run_bench(
            "--n", "2000", "--peers", "omenvec", "--clients", "1", "--processes", "1", "--parts", "filter",
            "--filter-queries", "20", "--selectivities", "0.001,0.1")
        peer = results["peers"]["omenvec"]["filter"]
        self.assertEqual(sorted(peer["indexes"]), ["attributes", "vector"])
        self.assertEqual(list(peer["ways"]), ["attributes", "plain", "btree", "planner"])
        for way, scans in (("attributes", {"attributes"}), ("plain", {"vector"}), ("btree", None)):
            for cell in peer["ways"][way]:
                self.assertEqual(cell["full"], 1, cell)
                self.assertGreater(cell["recall"], 0.9 if scans else 0.9999, cell)
                self.assertGreater(cell["tps"]["1"], 0, cell)
                self.assertLessEqual(set(cell["plans"]), scans or set(cell["plans"]), cell)
        self.assertEqual([ratio["than"] for ratio in results["filter"]["ratios"]],
                         ["omenvec plain", "omenvec btree", "omenvec planner"])
        self.assertIn("| uncorrelated 0.1 % | 2 |", page)

    def test_planner_matrix(self):
        results, _, page = self.run_bench("--planner", "--n", "1000", "--sizes", "1000",
                                          "--selectivities", "0.01,1", "--limits", "1,100")
        self.assertEqual(len(results["planner"]), 4)
        for cell in results["planner"]:
            self.assertEqual({"attributes", "omenhnsw", "bitmap", "seq"} - set(cell["ms"]), set())
            self.assertIsNotNone(cell["ratio"])
        self.assertIn("cells within 2×", page)


if __name__ == "__main__":
    unittest.main()
