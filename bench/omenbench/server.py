"""The server under test, by way of psql and pgbench."""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable

import numpy as np


class ServerError(Exception):
    """What a client program said when it failed."""


class Database:
    """One database of the server that PGHOST, PGPORT and PGUSER name."""

    def __init__(self, name: str):
        self.name = name
        self.settings: dict[str, str] = {}      # for every session, e.g. omenhnsw.ef_search

    def _environment(self) -> dict[str, str]:
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        return dict(os.environ, PGDATABASE=self.name, PGOPTIONS=options)

    def _run(self, command: list[str], **keywords) -> bytes:
        done = subprocess.run(command, env=self._environment(), stdout=subprocess.PIPE,
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
        with subprocess.Popen(command, env=self._environment(), stdin=subprocess.PIPE,
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
            files = []
            for number, text in enumerate(scripts):
                files += ["-f", os.path.join(folder, f"{number}.sql")]
                with open(files[-1], "w", encoding="utf-8") as file:
                    file.write(text)
            output = self._run(["pgbench", "-n", "-M", mode, *length, "-c", str(clients),
                                "-j", str(clients), *files]).decode()
        return float(re.search(r"^tps = ([0-9.]+)", output, re.M).group(1))


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
