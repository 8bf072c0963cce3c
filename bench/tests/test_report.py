"""Figures at equal recall, and the pages."""

import importlib.util
import os
import tempfile
import unittest

from omenbench import planner, plots, report


def point(recall, tps, lateral=None):
    return {"ef_search": 1, "recall": recall, "tps": {"1": tps}, "lateral_per_second": lateral}


class SpeedAt(unittest.TestCase):
    curve = [point(0.9, 1000, 2000), point(0.96, 400, 500), point(0.99, 100, 50)]

    def test_between_two_points(self):
        self.assertAlmostEqual(report.speed_at(self.curve, 0.93, "1"), (1000 * 400) ** 0.5)
        self.assertAlmostEqual(report.speed_at(self.curve, 0.93), (2000 * 500) ** 0.5)

    def test_at_a_point(self):
        self.assertAlmostEqual(report.speed_at(self.curve, 0.96, "1"), 400)

    def test_beyond_the_ends(self):
        self.assertEqual(report.speed_at(self.curve, 0.8, "1"), 1000)
        self.assertIsNone(report.speed_at(self.curve, 0.995, "1"))
        self.assertIsNone(report.speed_at([], 0.9, "1"))

    def test_a_faster_point_of_more_recall_counts(self):
        self.assertEqual(report.speed_at(self.curve + [point(0.97, 5000)], 0.95, "1"), 5000)


class Page(unittest.TestCase):
    def setUp(self):
        build = {"rows": 100, "vectors_per_second": 50.0, "bytes_per_vector": 10.0, "memory_bytes_per_vector": None}
        self.results = {
            "date": "today", "command": "./dev bench", "k": 10, "clients": [1], "targets": [0.95],
            "machine": {"commit": "", "cpu": "c", "cores": 1, "memory": "m", "load": 0.0, "system": "s",
                        "server": "15", "settings": {}},
            "data": {"name": "x", "metric": "l2", "dimensions": 3, "queries": 2, "rows": 100, "built_rows": 100},
            "index": {"m": 16, "ef_construction": 64, "processes": 1, "maintenance_work_mem": "1GB"},
            "peers": {"a": {"version": "1", "build": build | {"wal_bytes": 1000}, "search": [point(1.0, 300, 600)]},
                      "b": {"version": "2", "build": build | {"vectors_per_second": 20.0}},
                      "c": {"error": "broken"}}}

    def test_summary(self):
        page = report.markdown(self.results)
        self.assertIn("| build, vectors/s | 50.0 | 20.0 (2.5×) | - |", page)
        self.assertIn("| index, B/vector | 10.0 | 10.0 (1×) | - |", page)
        self.assertIn("| queries/s at recall 0.95, 1 client(s) | 300 | - | - |", page)
        self.assertIn("**c failed:** broken", page)
        self.assertNotIn("peak memory", page)       # nobody has a figure
        self.assertNotIn("insert", page)            # not measured

    def test_smaller_is_better(self):
        self.results["peers"]["b"]["build"]["bytes_per_vector"] = 250.0
        self.assertIn("| index, B/vector | 10.0 | 250 (25×) | - |", report.markdown(self.results))

    def test_one_number_of_clients_is_not_measured(self):
        self.results["clients"] = [1, 2]
        page = report.markdown(self.results)
        self.assertIn("| 1 | 1.0000 | 300 | - | 3,333 | 600 |", page)
        self.assertNotIn("2 client(s) | 300", page)

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "no matplotlib")
    def test_pictures(self):
        self.results["clients"] = [1, 2]
        with tempfile.TemporaryDirectory() as folder:
            files = plots.draw(self.results, os.path.join(folder, "x"))
            self.assertEqual([os.path.basename(file) for file in files], ["x-search.svg", "x-build.svg"])
            for file in files:
                self.assertGreater(os.path.getsize(file), 1000)


class PlannerPage(unittest.TestCase):
    @staticmethod
    def cell(limit, chosen, **ms):
        known = {name: time for name, time in ms.items() if time is not None}
        best = min(known, key=known.get)
        ratio = known[chosen] / known[best] if chosen in known else None
        return {"rows": 10, "selectivity": 1.0, "limit": limit,
                "chosen": chosen, "best": best, "ratio": ratio, "ms": ms}

    def test_verdict(self):
        cells = [self.cell(1, "seq", seq=1.0, omenhnsw=2.0), self.cell(2, "seq", seq=5.0, omenhnsw=1.0),
                 self.cell(3, "seq", seq=0.09, omenhnsw=0.03), self.cell(4, "seq", seq=None, omenhnsw=1.0)]
        self.assertIn("2 of 4 cells within 2×", planner._verdict(cells))
        self.assertEqual(planner._cell_text(cells[0]), "seq 1.00 ms")
        self.assertEqual(planner._cell_text(cells[1]), "**seq 5.00 ms; omenhnsw 1.00 ms: 5.00×**")
        self.assertEqual(planner._cell_text(cells[3]), "**seq, given up**; omenhnsw 1.00 ms")


if __name__ == "__main__":
    unittest.main()
