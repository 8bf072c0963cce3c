"""Filtered search in a server: a table with attributes, its indexes, and which of them a query may use."""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..filters import TYPES, Filters, Workload, sql
from ..plans import explained, scan_of, show_only
from ..server import Database


@dataclass(frozen=True)
class Way:
    """A way to answer: the indexes that the planner sees, and settings of the session.

    indexes: "vector" is the one of the vectors alone, "attributes" the one
    that has the attributes, too, "btree" stands for those of each attribute.
    """

    indexes: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    ladder: bool = False            # whether the method's setting is varied


FORCED = {"enable_seqscan": "off"}          # beside an index of vectors, nothing else is left
EXACT = Way(("btree",))                     # find the matches, sort them
WAYS = {"index": Way(("vector",), FORCED, ladder=True), "btree": EXACT, "planner": Way(("vector", "btree"))}


class FilteredTable:
    """The table "filtered" of a database that has the table "queries"."""

    def __init__(self, db: Database, operator: str, k: int):
        self.db = db
        self.operator = operator
        self.k = k
        self.shown: tuple[str, ...] = ()

    def load(self, filters: Filters) -> None:
        """Rows and btree indexes; not those of vectors."""
        definitions = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
        ids = np.arange(len(filters.base))
        self.db.execute(f"""
            CREATE TABLE vectors (id int, v vector({filters.base.shape[1]}));
            CREATE TABLE attributes (id int, {definitions});""")
        self.db.load("vectors", ids, filters.base)
        self.db.load_columns("attributes", [ids, *(filters.columns[name] for name in TYPES)])
        self.db.execute(f"""
            CREATE TABLE filtered AS SELECT id, v, {", ".join(TYPES)}
                FROM vectors JOIN attributes USING (id) ORDER BY id;
            DROP TABLE vectors, attributes;
            {" ".join(f"CREATE INDEX btree_{name} ON filtered ({name});" for name in TYPES)}
            VACUUM (ANALYZE) filtered;
            CHECKPOINT;
            SELECT pg_prewarm('filtered'), {", ".join(f"pg_prewarm('btree_{name}')" for name in TYPES)};""")

    def build(self, name: str, definition: str, before: str) -> dict[str, Any]:
        """Seconds and bytes of an index of vectors."""
        seconds, _ = self.db.timed(f"CREATE INDEX {name} ON filtered USING {definition}", before)
        self.db.execute(f"CHECKPOINT; SELECT pg_prewarm('{name}');")
        return {"seconds": seconds, "bytes": int(self.db.value(f"SELECT pg_relation_size('{name}')"))}

    def use(self, way: Way, settings: dict[str, str]) -> None:
        """For what follows."""
        if self.shown != way.indexes:
            names = [[f"btree_{name}" for name in TYPES] if index == "btree" else [index] for index in way.indexes]
            show_only(self.db, "filtered", sum(names, []))
            self.shown = way.indexes
        self.db.settings = {**way.settings, **settings}

    def queries(self, workload: Workload) -> list[str]:
        """The statements, with all that they ask for as constants; the vector is taken from the table."""
        return [f"SELECT {query}, id FROM filtered WHERE {sql(conditions)}"
                f" ORDER BY v {self.operator} (SELECT v FROM queries WHERE id = {query}) LIMIT {self.k};\n"
                for query, conditions in enumerate(workload.conditions)]

    def found(self, workload: Workload, queries: range) -> list[np.ndarray]:
        found: dict[int, list[int]] = {query: [] for query in queries}
        for query, row in self.db.execute("".join(self.queries(workload)[query] for query in queries)):
            found[int(query)].append(int(row))
        return [np.array(rows, np.int64) for rows in found.values()]

    def plans(self, workload: Workload) -> dict[str, int]:
        """How many queries are answered by which scan."""
        script = "".join("EXPLAIN (FORMAT json) " + query for query in self.queries(workload))
        counts = collections.Counter(scan_of(plan) for plan in explained(self.db, script))
        return dict(counts.most_common())

    def speed(self, workload: Workload, clients: int, seconds: float) -> float:
        return self.db.pgbench(self.queries(workload), ["-T", str(math.ceil(seconds))], clients)
