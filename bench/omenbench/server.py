"""The server under test, by way of psql and pgbench."""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable

import numpy as np


class ServerError(Exception):
    """What a client program said when it failed."""


class Database:
    """One database of the server that PGHOST, PGPORT and PGUSER name."""

    def __init__(self, name: str):
        self.name = name
        self.settings: dict[str, str] = {}      # for every session, e.g. omenhnsw.ef_search

    def environment(self) -> dict[str, str]:
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        return dict(os.environ, PGDATABASE=self.name, PGOPTIONS=options)

    def _run(self, command: list[str], **keywords) -> bytes:
        done = subprocess.run(command, env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **keywords)
        if done.returncode != 0:
            raise ServerError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def execute(self, script: str) -> list[list[str]]:
        """Run a psql script; returns its rows as lists of texts."""
        output = self._run(["psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1"],
                           input=script.encode())
        return [line.split("\t") for line in output.decode().splitlines()]

    def value(self, query: str) -> str:
        return self.execute(query)[0][0]

    def timed(self, statement: str, before: str = "") -> tuple[float, int]:
        """Seconds and bytes of WAL that a statement took, as the server sees them."""
        rows = self.execute(f"""{before}
            SELECT clock_timestamp() AS start, pg_current_wal_insert_lsn() AS place \\gset
            {statement};
            SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz),
                   pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'place');""")
        seconds, wal_bytes = rows[-1]
        return float(seconds), int(wal_bytes)

    def watch(self, query: str, interval_s: float) -> Watch:
        return Watch(self, query, interval_s)

    def load(self, table: str, ids: np.ndarray, vectors: np.ndarray) -> None:
        """COPY rows (id int, v vector) in binary, in chunks."""
        chunks = (_copy_rows(ids[start:start + 20000], vectors[start:start + 20000])
                  for start in range(0, len(ids), 20000))
        self._copy(f"{table} FROM STDIN (FORMAT binary)", itertools.chain(
            [b"PGCOPY\n\xff\r\n\0" + bytes(8)], chunks, [b"\xff\xff"]))

    def load_columns(self, table: str, columns: list[np.ndarray]) -> None:
        """COPY rows of numbers and texts."""
        text = io.StringIO()
        csv.writer(text).writerows(zip(*(column.tolist() for column in columns)))
        self._copy(f"{table} FROM STDIN (FORMAT csv)", [text.getvalue().encode()])

    def _copy(self, what: str, chunks: Iterable[bytes]) -> None:
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", f"COPY {what}"]
        with subprocess.Popen(command, env=self.environment(), stdin=subprocess.PIPE,
                              stderr=subprocess.PIPE) as copy:
            try:
                for chunk in chunks:
                    copy.stdin.write(chunk)
            except BrokenPipeError:
                pass                # psql says why
            _, message = copy.communicate()
        if copy.returncode != 0:
            raise ServerError(message.decode(errors="replace").strip())

    def pgbench(self, script: str | list[str], length: list[str], clients: int = 1, mode: str = "prepared") -> float:
        """Transactions a second, each of a script drawn; length is pgbench's -T SECONDS or -t TRANSACTIONS."""
        scripts = [script] if isinstance(script, str) else script
        with tempfile.TemporaryDirectory(prefix="bench_scripts") as folder:
            output = self._pgbench(folder, scripts, ["-M", mode, *length, "-c", str(clients), "-j", str(clients)])
        return float(re.search(r"^tps = ([0-9.]+)", output, re.M).group(1))

    def latencies(self, script: str, seconds: int) -> list[tuple[float, float]]:
        """When each transaction of one client ended, since 1970, and how long it took, in seconds."""
        with tempfile.TemporaryDirectory(prefix="bench_scripts") as folder:
            self._pgbench(folder, [script], ["-M", "prepared", "-T", str(seconds), "-l",
                                             "--log-prefix", os.path.join(folder, "log")])
            name = next(name for name in os.listdir(folder) if name.startswith("log"))
            with open(os.path.join(folder, name), encoding="ascii") as file:
                fields = [line.split() for line in file]
        return [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1e6) for line in fields]

    def _pgbench(self, folder: str, scripts: list[str], options: list[str]) -> str:
        files = []
        for number, text in enumerate(scripts):
            files += ["-f", os.path.join(folder, f"{number}.sql")]
            with open(files[-1], "w", encoding="utf-8") as file:
                file.write(text)
        return self._run(["pgbench", "-n", *options, *files]).decode()


class Watch:
    """A query that psql asks again and again while "with" lasts; rows has all answers then."""

    def __init__(self, db: Database, query: str, interval_s: float):
        self.db = db
        self.script = f"{query}\n\\watch {interval_s}\n"
        self.rows: list[list[str]] = []

    def __enter__(self) -> Watch:
        self.process = subprocess.Popen(    # pylint: disable=consider-using-with; ended below
            ["psql", "-XAtq", "-F", "\t"], env=self.db.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process.stdin.write(self.script)
        self.process.stdin.flush()
        time.sleep(0.2)             # it has to connect first
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        output, _ = self.process.communicate()
        self.rows = [line.split("\t") for line in output.splitlines() if "\t" in line]


def _copy_rows(ids: np.ndarray, vectors: np.ndarray) -> bytes:
    """Rows in COPY's binary format; a vector is its int16 dimensions, an unused int16, its floats."""
    dims = vectors.shape[1]
    row = np.dtype([("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i4"), ("vector_bytes", ">i4"),
                    ("dims", ">i2"), ("unused", ">i2"), ("values", ">f4", (dims,))])
    rows = np.zeros(len(ids), row)
    rows["fields"] = 2
    rows["id_bytes"] = 4
    rows["id"] = ids
    rows["vector_bytes"] = 4 + 4 * dims
    rows["dims"] = dims
    rows["values"] = vectors
    return rows.tobytes()
