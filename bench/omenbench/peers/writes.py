"""Writes to the table "items" of a server, and what a reader beside them, and the server, say of them."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np

from ..server import Database

MOST_SINGLES = 20000            # rows inserted one by one
REST_SECONDS = 1.0              # maintenance in the background is over when there was none for so long
LONGEST_REST = 600.0


class Reader(threading.Thread):
    """Asks one query after the other until it is stopped; "with" starts and stops it."""

    def __init__(self, db: Database, script: str):
        super().__init__(daemon=True)
        self.db = db
        self.script = script
        self.times: list[tuple[float, float]] = []      # end, latency
        self.ending = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.ending.is_set():
                self.times += self.db.latencies(self.script, 1)
        except Exception as error:      # pylint: disable=broad-except; raised again where it is joined
            self.error = error

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ending.set()
        self.join()
        if self.error and exception[0] is None:
            raise self.error

    def percentiles(self, start: float, end: float) -> dict[str, float | int]:
        """Of the queries that ended in between, in ms."""
        times = [1000 * latency for ended, latency in self.times if start <= ended <= end]
        if not times:
            return {"queries": 0}
        return {"queries": len(times), **{f"p{p}_ms": float(np.percentile(times, p)) for p in (50, 99)}}


class WrittenTable:
    """The table "items" of a database, with an index; "extra" has the rows to come."""

    def __init__(self, db: Database, script: str, maintains: str | None):
        """script: the reader's; maintains: a query for how many are at work in the background, if any ever are."""
        self.db = db
        self.script = script
        self.maintains = maintains

    def bulk(self, table: str, first: int, end: int) -> tuple[float, int]:
        """Seconds of one INSERT … SELECT, and the WAL that its own process wrote."""
        start = time.time()
        plan = self.db.execute(f"""
            EXPLAIN (ANALYZE, WAL, TIMING off, FORMAT json)
            INSERT INTO {table} SELECT * FROM extra WHERE id >= {first} AND id < {end};""")
        node = json.loads("\n".join("\t".join(row) for row in plan))[0]["Plan"]
        return time.time() - start, int(node.get("WAL Bytes", 0))

    def rest(self) -> float:
        """Wait until nothing is maintained any more; returns when that began."""
        begin = since = time.time()
        while self.maintains and time.time() < min(since + REST_SECONDS, begin + LONGEST_REST):
            time.sleep(0.05)
            if self.db.value(self.maintains) != "0":
                since = time.time()
        return since

    def insert_many(self, first: int, end: int, quiet_seconds: float) -> dict[str, Any]:
        """Rows in two statements, beside a reader.

        In two, for after a checkpoint the first touch of a page logs it
        whole; the second shows what goes on.
        """
        middle, n_rows = (first + end) // 2, max(end - first, 1)
        self.db.execute("CREATE TABLE plain (LIKE items);\nCHECKPOINT;")
        with Reader(self.db, self.script) as reader:
            quiet = time.time() + 0.5
            time.sleep(0.5 + quiet_seconds)
            place = self.db.value("SELECT pg_current_wal_insert_lsn()")
            start = time.time()
            before = self.bulk("items", first, middle)
            after = self.bulk("items", middle, end)
            written = time.time()
            rested = self.rest()
        wal_bytes = int(self.db.value(f"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{place}')"))
        plain = self.bulk("plain", first, end)
        return {
            "rows": end - first, "rows_per_second": n_rows / (written - start),
            "rows_per_second_maintained": n_rows / (rested - start),
            "wal_bytes_per_row_after_checkpoint": before[1] / max(middle - first, 1),
            "wal_bytes_per_row": after[1] / max(end - middle, 1),
            "wal_bytes_per_row_maintained": wal_bytes / n_rows,
            "wal_bytes_per_row_without_index": plain[1] / n_rows,
            "reader": {"before": reader.percentiles(quiet, start), "meanwhile": reader.percentiles(start, rested)}}

    def insert_singles(self, first: int, n_rows: int, clients: int) -> dict[str, Any]:
        """Each row in a transaction of its own; by half with and without the index, in turns."""
        rates: dict[str, list[float]] = {"items": [], "plain": []}
        quarter = n_rows // (2 * clients) * clients
        place = self.db.value("SELECT pg_current_wal_insert_lsn()")
        wal_bytes = 0
        self.db.execute("TRUNCATE plain;")
        for start in (first, first + quarter):
            for table, speeds in rates.items():
                self.db.execute(f"SELECT setval('next_single', {start}, false);")
                place = self.db.value("SELECT pg_current_wal_insert_lsn()")
                speeds.append(self._singles(table, quarter // clients, clients))
                if table == "items":
                    wal_bytes += int(self.db.value(
                        f"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{place}')"))
        self.db.execute("DROP TABLE plain;")
        return {"singles": 2 * quarter, "singles_clients": clients, "wal_bytes_per_single": wal_bytes / (2 * quarter),
                "singles_per_second": 2 / sum(1 / rate for rate in rates["items"]),
                "singles_per_second_without_index": 2 / sum(1 / rate for rate in rates["plain"])}

    def _singles(self, table: str, transactions: int, clients: int) -> float:
        """synchronous_commit off: the disk's answer would hide what the rest takes."""
        self.db.settings = {**self.db.settings, "synchronous_commit": "off"}
        try:
            return self.db.pgbench(
                f"INSERT INTO {table} SELECT * FROM extra WHERE id = (SELECT nextval('next_single'));\n",
                ["-t", str(transactions)], clients)
        finally:
            del self.db.settings["synchronous_commit"]

    def vacuum(self, memory: str) -> dict[str, Any]:
        """After a DELETE: time, WAL, and of both what the index takes."""
        self.db.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect;\nCHECKPOINT;")
        blocks = self._index_blocks()
        place = self.db.value("SELECT pg_current_wal_flush_lsn()")      # pg_walinspect looks no further
        with self.db.watch("SELECT extract(epoch FROM clock_timestamp()), phase FROM pg_stat_progress_vacuum"
                           " WHERE relid = 'items'::regclass", 0.005) as phases:
            seconds, wal_bytes = self.db.timed("VACUUM (INDEX_CLEANUP on) items",
                                               f"SET maintenance_work_mem = '{memory}';")
        index_wal = self.db.value(f"""
            SELECT coalesce(sum(combined_size), 0) FROM pg_get_wal_stats('{place}', pg_current_wal_flush_lsn())
            WHERE "resource_manager/record_type" = 'Generic'""")
        return {"seconds": seconds, "wal_bytes": wal_bytes, "index_seconds": seconds_in_index(phases.rows),
                "index_wal_bytes": int(index_wal), "index_blocks": self._index_blocks() - blocks}

    def _index_blocks(self) -> int:
        return int(self.db.value("""
            SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes WHERE indexrelname = 'items_v'"""))


def seconds_in_index(samples: list[list[str]]) -> float:
    """Between two samples, the phase is that of the first."""
    seconds = 0.0
    for (start, phase), (end, _) in zip(samples, samples[1:]):
        if phase in ("vacuuming indexes", "cleaning up indexes"):
            seconds += float(end) - float(start)
    return seconds
