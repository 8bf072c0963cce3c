"""Plans as EXPLAIN gives them."""

import unittest

from omenbench import plans


class Plans(unittest.TestCase):
    def test_several_json_values(self):
        self.assertEqual(plans.json_values('[1]\n{"a": [2]}\n'), [[1], {"a": [2]}])
        self.assertEqual(plans.json_values(""), [])

    def test_scan(self):
        def node(kind, *children, **more):
            return {"Node Type": kind, "Parent Relationship": "Outer", **more} | (
                {"Plans": list(children)} if children else {})
        subplan = node("Index Scan", **{"Index Name": "queries_pkey"}) | {"Parent Relationship": "InitPlan"}
        for expected, plan in (
                ("x", node("Limit", subplan, node("Index Scan", **{"Index Name": "x"}))),
                ("bitmap", node("Limit", node("Sort", node("Bitmap Heap Scan", node("Bitmap Index Scan"))))),
                ("seq", node("Sort", node("Seq Scan"))), ("Result", node("Result"))):
            self.assertEqual(plans.scan_of([{"Plan": plan}]), expected)


if __name__ == "__main__":
    unittest.main()
