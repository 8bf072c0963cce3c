"""Peers in the server at hand: indexes of omenvec and of other extensions, reached by SQL."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..filters import TYPES, Workload
from ..memory import Sampler, children
from ..server import Database
from .base import MissingPeer, Peer, PeerError, Settings, Task
from .filtered import EXACT, FORCED, WAYS, FilteredTable, Way
from .writes import MOST_SINGLES, WrittenTable

OPERATORS = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>"}


@dataclass(frozen=True)
class Method:
    """An index access method and how its extension wants it used.

    index is the end of CREATE INDEX … USING, with the fields metric, m,
    ef_construction, lists (of clusters, by the number of rows) and attributes
    (further columns, of a method that filters by them).  setting is what the
    ladder of the search sets; its values are those of --ef, or the method's
    own where they mean something else.  ways are those to answer filtered
    queries.  maintains tells how many processes are at work on an index in the
    background.
    """

    extension: str
    index: str
    setting: str
    ladder: tuple[int, ...] | None = None
    metrics: tuple[str, ...] = ("l2", "ip", "cosine")
    session: dict[str, str] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=lambda: WAYS)
    maintains: str | None = None


HNSW = "(v vector_{metric}_ops{attributes}) WITH (m = {m}, ef_construction = {ef_construction})"

# omenvec at its defaults, with the attributes in the index and without.
OMENVEC_WAYS = {"attributes": Way(("attributes",), FORCED), "plain": Way(("vector",), FORCED),
                "btree": EXACT, "planner": Way(("attributes", "btree"))}

# pgvector goes on until it has enough rows only where it is told to, and not to stop.
ITERATIVE = {**FORCED, "hnsw.max_scan_tuples": "2147483647", "hnsw.scan_mem_multiplier": "100"}
PGVECTOR_WAYS = {
    "relaxed": Way(("vector",), {**ITERATIVE, "hnsw.iterative_scan": "relaxed_order"}, ladder=True),
    "strict": Way(("vector",), {**ITERATIVE, "hnsw.iterative_scan": "strict_order"}, ladder=True),
    "btree": EXACT, "planner": WAYS["planner"]}

METHODS = {
    "omenvec": Method("omenvec", "omenhnsw " + HNSW, "omenhnsw.ef_search", metrics=tuple(OPERATORS),
                      ways=OMENVEC_WAYS, maintains="SELECT count(*) FROM omenvec_progress()"),
    "pgvector": Method("vector", "hnsw " + HNSW.replace("{attributes}", ""), "hnsw.ef_search",
                       metrics=tuple(OPERATORS), ways=PGVECTOR_WAYS),
    "vectorchord": Method(
        "vchord", "vchordrq (v vector_{metric}_ops) WITH (options = $$build.internal.lists = [{lists}]$$)",
        "vchordrq.probes", ladder=(2, 4, 8, 12, 20, 32, 64, 128)),
    "pgvectorscale": Method(
        "vectorscale", "diskann (v vector_{metric}_ops)", "diskann.query_search_list_size"),
}


class PostgresPeer(Peer):
    """One extension in a database of its own, for several have a type named vector."""

    parts = frozenset({"build", "search", "insert", "vacuum", "filter"})

    def __init__(self, name: str, task: Task, settings: Settings):
        super().__init__(name, task, settings)
        self.method = METHODS[name]
        if self.method.extension not in _available():
            raise MissingPeer("not installed in this server")
        if task.data.metric not in self.method.metrics:
            raise MissingPeer(f"no operator class for {task.data.metric}")
        self.ladder = self.method.ladder or settings.ladder
        self.operator = OPERATORS[task.data.metric]
        self.db = Database(f"bench_{name}")
        self.filtered = FilteredTable(self.db, self.operator, settings.k)
        self.written = WrittenTable(self.db, self._query_script(), self.method.maintains)

    # --- data and build ---

    def prepare(self) -> None:
        """The base in items, the rows to insert later in extra."""
        task = self.task
        Database("postgres").execute(
            f"DROP DATABASE IF EXISTS {self.db.name};\nCREATE DATABASE {self.db.name};")
        self.db.execute(f"""
            CREATE EXTENSION {self.method.extension} CASCADE;
            CREATE EXTENSION IF NOT EXISTS pg_prewarm;
            CREATE TABLE items (id int NOT NULL, v vector({task.dims}) NOT NULL);
            CREATE TABLE extra (id int PRIMARY KEY, v vector({task.dims}) NOT NULL);
            CREATE TABLE queries (id int PRIMARY KEY, v vector({task.dims}));
            CREATE SEQUENCE next_single MINVALUE 0;
            ALTER TABLE items SET (parallel_workers = {self.settings.processes - 1});""")
        self.db.load("items", np.arange(task.n_built), task.data.base[:task.n_built])
        self.db.load("extra", np.arange(task.n_built, task.n_rows), task.data.base[task.n_built:task.n_rows])
        self.db.load("queries", np.arange(len(task.data.queries)), task.data.queries)
        self.db.execute("VACUUM ANALYZE items, extra, queries;\nCHECKPOINT;")
        self.results["version"] = self.db.value(
            f"SELECT extversion FROM pg_extension WHERE extname = '{self.method.extension}'")

    def close(self) -> None:
        Database("postgres").execute(f"DROP DATABASE IF EXISTS {self.db.name} WITH (FORCE);")

    def build(self) -> None:
        index = self._index()
        postmaster = _postmaster()
        with Sampler(lambda: self._building_processes(postmaster)) as memory:
            seconds, wal_bytes = self.db.timed(f"CREATE INDEX items_v ON items USING {index}", self._build_settings())
        self.db.execute("CHECKPOINT;")
        self.note_build(seconds, int(self.db.value("SELECT pg_relation_size('items_v')")), memory.peak,
                        table_bytes=int(self.db.value("SELECT pg_table_size('items')")),
                        wal_bytes=wal_bytes, processes_seen=memory.n_processes, index=index)

    def _index(self, attributes: str = "") -> str:
        settings = self.settings
        return self.method.index.format(
            metric=self.task.data.metric, m=settings.m, ef_construction=settings.ef_construction,
            lists=max(10, 2 * round(math.sqrt(self.task.n_built))), attributes=attributes)

    def _build_settings(self) -> str:
        return (f"SET maintenance_work_mem = '{self.settings.memory}';"
                f" SET max_parallel_maintenance_workers = {self.settings.processes - 1};")

    def _building_processes(self, postmaster: int) -> list[int]:
        """The one that runs CREATE INDEX in our database, and its workers."""
        titles = children(postmaster)
        leaders = [pid for pid, title in titles.items()
                   if f" {self.db.name} " in title and title.endswith("CREATE INDEX")]
        return leaders + [pid for pid, title in titles.items()
                          if any(f"parallel worker for PID {leader}" in title for leader in leaders)]

    # --- search ---

    def prepare_search(self) -> None:
        self.db.execute("SELECT pg_prewarm('items'), pg_prewarm('items_v');")
        self._check_plan()

    def measure_search(self, ef: int | None) -> dict[str, Any]:
        self.db.settings = dict(self.method.session)
        if ef is not None:
            self.db.settings[self.method.setting] = str(ef)
        recall = self.recall(self._found())         # warms the cache, too
        point = {
            "recall": recall,
            "tps": {str(clients): self._best_speed(clients) for clients in self.settings.clients},
            "lateral_per_second": self._lateral_speed()}
        if ef is None:
            point["unprepared_tps"] = self._best_speed(1, mode="simple")
        self.db.settings = {}
        return point

    def _best_speed(self, clients: int, mode: str = "prepared") -> float:
        return max(self.db.pgbench(self._query_script(), ["-T", str(math.ceil(self.settings.seconds))],
                                   clients, mode) for _ in range(self.settings.rounds))

    def _many_queries(self, what: str) -> str:
        return f"""SELECT {what} FROM queries AS q CROSS JOIN LATERAL
            (SELECT id FROM items ORDER BY v {self.operator} q.v LIMIT {self.settings.k}) AS found"""

    def _lateral_speed(self) -> float:
        """Queries a second of one statement that runs them all."""
        seconds = min(self.db.timed(self._many_queries("count(found.id)"))[0]
                      for _ in range(self.settings.rounds))
        return len(self.task.data.queries) / seconds

    def _found(self) -> list[np.ndarray]:
        """Row numbers that the index finds for each query."""
        found: list[list[int]] = [[] for _ in self.task.data.queries]
        for query, row in self.db.execute(self._many_queries("q.id, found.id")):
            found[int(query)].append(int(row))
        return [np.array(rows, np.int64) for rows in found]

    def _query_script(self) -> str:
        return f"""\\set i random(0, {len(self.task.data.queries) - 1})
            SELECT id FROM items ORDER BY v {self.operator} (SELECT v FROM queries WHERE id = :i)
            LIMIT {self.settings.k};\n"""

    def _check_plan(self) -> None:
        plan = "\n".join(row[0] for row in self.db.execute(
            f"EXPLAIN SELECT id FROM items ORDER BY v {self.operator} (SELECT v FROM queries WHERE id = 0)"
            f" LIMIT {self.settings.k};"))
        self.results["index_used"] = "items_v" in plan
        if "items_v" not in plan:
            self.say("warning: the planner does not use the index:\n" + plan)

    # --- filtered search ---

    def prepare_filter(self) -> None:
        """The index without attributes first, and that with them, if the method has such."""
        self.filtered.load(self.task.filters)
        definitions = {"vector": self._index()}
        if any("attributes" in way.indexes for way in self.method.ways.values()):
            definitions["attributes"] = self._index(", " + ", ".join(TYPES))
        built = {name: self.filtered.build(name, definition, self._build_settings())
                 for name, definition in definitions.items()}
        self.results["filter"] = {"indexes": built}
        for name, index in built.items():
            self.say(f"index {name}: {index['seconds']:.2f} s, {index['bytes'] / self.task.n_built:.0f} B/vector")

    def filter_ways(self) -> dict[str, tuple[int | None, ...]]:
        ladder = self.method.ladder or self.settings.filter.ladder
        return {name: ladder if way.ladder else (None,) for name, way in self.method.ways.items()}

    def _use(self, way: str, ef: int | None) -> None:
        settings = {} if ef is None else {self.method.setting: str(ef)}
        self.filtered.use(self.method.ways[way], {**self.method.session, **settings})

    def found_filtered(self, workload: Workload, way: str, ef: int | None, queries: range) -> list[np.ndarray]:
        self._use(way, ef)
        return self.filtered.found(workload, queries)

    def filter_speed(self, workload: Workload, way: str, ef: int | None, seconds: float) -> dict[str, Any]:
        self._use(way, ef)
        tps = {str(clients): self.filtered.speed(workload, clients, seconds) for clients in self.settings.clients}
        return {"tps": tps, "plans": self.filtered.plans(workload)}

    # --- writes ---

    def insert(self) -> None:
        """Most of the rows in two statements, the others one by one."""
        first_row, n_rows = self.task.n_built, self.task.n_rows
        clients = max(self.settings.clients)
        n_singles = min((n_rows - first_row) // 2, MOST_SINGLES) // (2 * clients) * (2 * clients)
        bulk_end = n_rows - n_singles
        self.results["insert"] = figures = self.written.insert_many(first_row, bulk_end, self.settings.seconds)
        if n_singles:
            figures.update(self.written.insert_singles(bulk_end, n_singles, clients))
        self.written.rest()
        self.alive[first_row:] = True
        self._check_rows()
        reader = figures["reader"]
        self.say(f"insert: {figures['rows_per_second']:,.0f} rows/s, maintained {figures['rows_per_second_maintained']:,.0f},"
                 f" {figures['wal_bytes_per_row']:,.0f} B of WAL a row, maintained {figures['wal_bytes_per_row_maintained']:,.0f};"
                 f" a reader's p99 {reader['before'].get('p99_ms', 0):.2f} ms, meanwhile {reader['meanwhile'].get('p99_ms', 0):.2f} ms;"
                 f" one by one: {figures.get('singles_per_second', 0):,.0f} rows/s,"
                 f" without the index {figures.get('singles_per_second_without_index', 0):,.0f}")

    def vacuum(self) -> None:
        self.db.execute("DELETE FROM items WHERE id % 100 = 7;")
        self.alive[7::100] = False
        self.results["vacuum"] = figures = self.written.vacuum(self.settings.memory)
        self._check_rows()
        self.say(f"vacuum after deleting 1 %: {figures['seconds']:.2f} s, {figures['wal_bytes'] / 1e6:,.1f} MB of WAL;"
                 f" the index: {figures['index_seconds']:.3f} s, {figures['index_blocks']:,} block accesses,"
                 f" {figures['index_wal_bytes'] / 1e6:,.2f} MB of WAL")

    def _check_rows(self) -> None:
        """Recall is only as right as what we believe to be in the table."""
        if self.db.execute("SELECT count(*), count(DISTINCT id) FROM items") != [[str(self.alive.sum())] * 2]:
            raise PeerError("the table does not hold the rows that it should")


def _available() -> set[str]:
    return {row[0] for row in Database("postgres").execute("SELECT name FROM pg_available_extensions;")}


def _postmaster() -> int:
    """The server's first process, if the server is on this machine."""
    return int(Database("postgres").value("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))
