"""Filtered search: attributes, workloads, the truth, and what the figures come to."""

import dataclasses
import gzip
import importlib.util
import os
import tempfile
import unittest
from unittest import mock

import numpy as np

from omenbench import datasets, filter_report, plots
from omenbench.filters import TYPES, Condition, Filters, sql
from omenbench.measure import Sequence
from omenbench.peers.base import FilterSettings, MissingPeer, Peer, Settings, Task, best_point
from omenbench.peers.library import LibraryPeer

SETTINGS = Settings(k=5, ladder=(10,), clients=(1,), seconds=0.05, rounds=1, m=8, ef_construction=32,
                    processes=1, memory="64MB", filter=FilterSettings(ladder=(10, 200), seconds=0.05))


def made(rows=1000, selectivities=(0.001, 0.1, 1.0)):
    return Filters(datasets.synthetic(rows, 16, 30), rows, 20, selectivities, 5)


class Conditions(unittest.TestCase):
    def test_one_value_and_a_range(self):
        columns = {"category": np.array(["a", "o'b", "c"]), "price": np.array([1.0, 2.0, 3.5])}
        for condition, text, mask in (
                (Condition("category", "o'b"), "category = 'o''b'", [False, True, False]),
                (Condition("price", 2.0, 3.5), "price >= 2.0 AND price < 3.5", [False, True, False]),
                (Condition("price", 1.0), "price = 1.0", [True, False, False])):
            self.assertEqual(condition.sql(), text)
            self.assertEqual(condition.mask(columns).tolist(), mask)
        self.assertEqual(sql((Condition("price", 1.0), Condition("tenant", 7))), "price = 1.0 AND tenant = 7")


class Workloads(unittest.TestCase):
    def setUp(self):
        self.filters = made()

    def shares(self):
        """Of the rows, and of the 20 nearest of each query, that match, by workload."""
        near = datasets.nearest("l2", self.filters.base, self.filters.queries, 20)
        for workload in self.filters.workloads:
            mask = self.filters.mask(workload)
            yield workload, mask.mean(), np.take_along_axis(mask, near, 1).mean()

    def test_selectivity_and_relation_to_the_query(self):
        kinds = []
        for workload, share, share_near in self.shares():
            kinds.append((workload.kind, workload.selectivity))
            if workload.selectivity is not None:
                self.assertAlmostEqual(share, workload.selectivity, msg=workload.title)
            if workload.kind == "correlated":
                self.assertGreater(share_near, 2 * share, workload.title)
            elif workload.kind == "adverse":
                self.assertLess(share_near, share / 2, workload.title)
        self.assertEqual(kinds, [
            ("uncorrelated", 0.001), ("uncorrelated", 0.1), ("uncorrelated", 1.0), ("correlated", 0.001),
            ("correlated", 0.1), ("adverse", 0.001), ("adverse", 0.1), ("tenant", None), ("category", None),
            ("price", None), ("category and price", None)])

    def test_every_tenant_asked_for_has_rows(self):
        tenants = next(workload for workload in self.filters.workloads if workload.kind == "tenant")
        matches = self.filters.mask(tenants).sum(1)
        self.assertGreater(matches.min(), 0)
        self.assertGreater(matches.max(), 10 * matches.min())

    def test_the_same_each_time(self):
        again = made()
        for name, values in self.filters.columns.items():
            np.testing.assert_array_equal(again.columns[name], values, name)
        self.assertEqual(again.workloads, self.filters.workloads)

    def test_own_payload(self):
        data = datasets.synthetic(100, 4, 5)
        data.payload = {"category": np.array(["own"] * 200)}
        columns = Filters(data, 50, 5, [1.0], 5).columns
        self.assertEqual(list(columns), list(TYPES))
        self.assertEqual(set(columns["category"]), {"own"})
        self.assertEqual({len(values) for values in columns.values()}, {50})

    def test_payload_of_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.tsv.gz")
            with gzip.open(path, "wt", encoding="utf-8") as file:
                file.write("id\tsection\tinstalled_size\tsummary\n0\tweb\t12\tsays \"x\n1\tnet\t7\ty\"\n")
            payload = datasets._read_payload(path)
        self.assertEqual((payload["category"].tolist(), payload["price"].tolist()), (["web", "net"], [12, 7]))


class Truth(unittest.TestCase):
    def setUp(self):
        self.filters = made()

    @mock.patch("omenbench.datasets.BLOCK", 300)
    def test_nearest_of_those_that_match(self):
        for metric in ("l2", "cosine", "ip", "l1"):
            filters = Filters(datasets.with_metric(self.filters.data, metric), 1000, 20, [0.002, 0.1], 5)
            for number, workload in enumerate(filters.workloads):
                masks = filters.mask(workload)
                for query, mask, answers in zip(filters.queries, masks, filters.truth(number).answers):
                    rows = np.flatnonzero(mask)
                    order = np.argsort(datasets.distances(metric, query, filters.base[rows]))
                    self.assertEqual(answers[answers >= 0].tolist(), rows[order][:5].tolist(), workload.title)

    def test_judge(self):
        answers = [rows[rows >= 0] for rows in self.filters.truth(1).answers]       # 100 rows match each query
        self.assertEqual(self.filters.judge(1, answers), {"recall": 1.0, "full": 1.0})
        short = [answers[0][:4]] + answers[1:]
        self.assertEqual(self.filters.judge(1, short), {"recall": 0.99, "full": 0.95})
        farther = [np.flatnonzero(mask) for mask in self.filters.truth(1).keep]
        farther = [np.setdiff1d(rows, near)[:5] for rows, near in zip(farther, answers)]
        self.assertEqual(self.filters.judge(1, farther), {"recall": 0.0, "full": 1.0})

    def test_fewer_match_than_asked_for(self):
        answers = [rows[rows >= 0] for rows in self.filters.truth(0).answers]
        self.assertEqual({len(rows) for rows in answers}, {1})
        self.assertEqual(self.filters.judge(0, answers), {"recall": 1.0, "full": 1.0})
        self.assertEqual(self.filters.judge(0, [rows[:0] for rows in answers]), {"recall": 0.0, "full": 0.0})

    def test_wrong_rows_are_no_matter_of_recall(self):
        truth = self.filters.truth(1)
        answers = list(truth.answers)
        other = np.flatnonzero(~truth.keep[0])[:1]
        for wrong, word in (([other] + answers[1:], "match"), ([answers[0][[0, 0]]] + answers[1:], "twice")):
            with self.assertRaisesRegex(ValueError, word):
                self.filters.judge(1, wrong)


class ExactPeer(Peer):
    """Gives the truth, slowly: a way by its ladder, another at its default; less of it at ef 10."""

    parts = frozenset({"filter"})

    def say(self, text):
        pass

    def prepare(self):
        self.asked = []

    def build(self):
        pass

    def prepare_filter(self):
        self.results["filter"] = {"indexes": {"all": {"seconds": 2.0, "bytes": 5000}}}

    def filter_ways(self):
        return {"ladder": self.settings.filter.ladder, "default": (None,)}

    def found_filtered(self, workload, way, ef, queries):
        self.asked.append(len(queries))
        number = self.task.filters.workloads.index(workload)
        answers = self.task.filters.truth(number).answers
        return [answers[query][answers[query] >= 0][1 if ef == 10 else 0:] for query in queries]

    def filter_speed(self, workload, way, ef, seconds):
        return {"tps": {"1": 100.0 if way == "default" else 50.0}}

    def measure_search(self, ef):
        raise NotImplementedError


class Measuring(unittest.TestCase):
    def test_best_point(self):
        points = [{"recall": recall, "seconds_a_query": seconds}
                  for recall, seconds in ((0.9, 1), (0.98, 3), (0.99, 2))]
        self.assertIs(best_point(points, 0.97), points[2])
        self.assertIs(best_point(points[:1], 0.97), points[0])
        self.assertIs(best_point(points, 0.995), points[2])

    def test_steps(self):
        filters = made()
        peer = ExactPeer("exact", Task(filters.data, 1000, 1000, filters), SETTINGS)
        Sequence([peer]).run(["filter"])
        self.assertNotIn("error", peer.results)
        ways = peer.results["filter"]["ways"]
        self.assertEqual({way: len(cells) for way, cells in ways.items()},
                         dict.fromkeys(("ladder", "default"), len(filters.workloads)))
        for cell in ways["ladder"]:
            self.assertEqual((cell["ef_search"], cell["recall"], cell["queries"]), (200, 1, 20))
            self.assertLess(cell["ladder"][0]["recall"], 0.97)

    def test_patience(self):
        """With none left, one query at one point must do."""
        filters = made()
        settings = dataclasses.replace(SETTINGS, filter=dataclasses.replace(SETTINGS.filter, patience=-1))
        peer = ExactPeer("exact", Task(filters.data, 1000, 1000, filters), settings)
        Sequence([peer]).run(["filter"])
        self.assertNotIn("error", peer.results)
        self.assertEqual(set(peer.asked), {1})
        for cell in peer.results["filter"]["ways"]["ladder"]:
            self.assertEqual((cell["ef_search"], cell["queries"], len(cell["ladder"])), (10, 1, 1))

    def test_some_ways(self):
        """Of another peer's way nothing is asked."""
        filters = made()
        settings = dataclasses.replace(SETTINGS, filter=dataclasses.replace(SETTINGS.filter, ways=("default", "acorn")))
        peer = ExactPeer("exact", Task(filters.data, 1000, 1000, filters), settings)
        Sequence([peer]).run(["filter"])
        self.assertEqual(set(peer.results["filter"]["ways"]), {"default"})

    def test_qdrant(self):
        for name in ("qdrant", "qdrant-int8"):
            filters = made(2000)
            try:
                peer = LibraryPeer(name, Task(filters.data, 2000, 2000, filters), SETTINGS)
            except MissingPeer as reason:
                self.skipTest(str(reason))
            peer.say = lambda text: None
            Sequence([peer]).run(["filter"])
            self.assertNotIn("error", peer.results)
            for way in ("filter", "acorn"):
                cells = peer.results["filter"]["ways"][way]
                self.assertEqual(len(cells), len(filters.workloads))
                for cell in cells:
                    self.assertGreater(cell["recall"], 0.9, cell)
                    self.assertEqual(cell["full"], 1, cell)
                    self.assertGreater(cell["tps"]["1"], 0)


class Page(unittest.TestCase):
    def setUp(self):
        def cells(*figures):
            """A cell each: tps with one client, recall."""
            return [{"kind": kind, "selectivity": share, "recall": recall, "full": full, "ef_search": None,
                     "tps": {"1": tps}}
                    for (kind, share), (tps, recall, full) in zip(self.kinds, figures)]
        self.kinds = [("uncorrelated", 0.01), ("uncorrelated", 1.0), ("adverse", 0.01)]
        self.results = {
            "k": 10, "clients": [1], "data": {"name": "x", "metric": "l2", "dimensions": 3, "built_rows": 100},
            "filter": {"target": 0.97, "queries": 5, "payload": [], "workloads": [
                {"kind": kind, "selectivity": share, "matches": 7.0} for kind, share in self.kinds]},
            "peers": {
                "a": {"filter": {"indexes": {"attributes": {"seconds": 1.0, "bytes": 1000}}, "ways": {
                    "attributes": cells((400, 0.98, 1), (100, 0.99, 1), (90, 0.97, 1)),
                    "plain": cells((100, 0.98, 1), (100, 0.99, 1), (10, 0.9, 0.5))}}},
                "b": {"filter": {"ways": {
                    "x": cells((100, 0.98, 1), (50, 0.98, 1), (900, 0.5, 1)),
                    "y": cells((200, 0.98, 1), (70, 0.5, 1), (10, 0.98, 1))}}},
                "c": {"error": "broken"}}}
        self.results["filter"]["ratios"] = filter_report.ratios(self.results)

    def test_best(self):
        self.assertEqual([filter_report.best(self.results, "b", number)[0] for number in range(3)], ["y", "x", "y"])
        self.assertIsNone(filter_report.best(self.results, "c", 0))

    def test_ratios(self):
        ratios = {ratio["than"]: ratio for ratio in self.results["filter"]["ratios"]}
        self.assertEqual(list(ratios), ["a plain", "b x", "b y", "b best"])
        best = ratios["b best"]
        self.assertAlmostEqual(best["mean"], (2 * 2 * 9) ** (1 / 3))
        self.assertEqual((best["least"], best["compared"], best["missed"]), (2, 3, 0))
        self.assertAlmostEqual(best["by_kind"]["adverse"], 9)
        plain = ratios["a plain"]
        self.assertEqual((plain["mean"], plain["compared"], plain["missed"]), (2, 2, 1))

    def test_page(self):
        page = "\n".join(filter_report.markdown(self.results))
        self.assertIn("| uncorrelated 1 % | 7 | 400 | 100 | 100 | 200 |", page)
        self.assertIn("| adverse 1 % | 7 | 90 | 10 (0.900)! | 900 (0.500) | 10 |", page)
        self.assertIn("| b best | 1 | 3.3× | 2× | 3 | 0 | 2× | 9× |", page)
        self.assertIn("| a attributes | 1.00 | 10 |", page)

    def test_nothing_measured(self):
        self.results["peers"] = {"c": {"error": "broken"}}
        self.assertEqual(filter_report.ratios(self.results), [])
        self.assertEqual(filter_report.markdown(self.results), [])

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "no matplotlib")
    def test_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            files = plots.draw(self.results, os.path.join(folder, "x"))
            self.assertEqual([os.path.basename(file) for file in files], ["x-filter.svg"])
            self.assertGreater(os.path.getsize(files[0]), 1000)


if __name__ == "__main__":
    unittest.main()
