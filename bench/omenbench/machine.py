"""What a figure cannot be read without: machine, server, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

from .datasets import BENCH
from .server import Database

SETTINGS = ("shared_buffers", "fsync", "synchronous_commit", "wal_level", "full_page_writes",
            "max_parallel_workers")


def describe() -> dict[str, Any]:
    server = Database("postgres")
    names = ", ".join(f"'{name}'" for name in SETTINGS)
    settings = server.execute(f"""SELECT name, current_setting(name) FROM pg_settings
        WHERE name IN ({names}) ORDER BY name;""")
    return {"cpu": _first("/proc/cpuinfo", "model name") or platform.processor(), "cores": os.cpu_count(),
            "memory": _first("/proc/meminfo", "MemTotal"), "system": platform.platform(),
            "load": os.getloadavg()[0], "python": platform.python_version(),
            "server": server.value("SHOW server_version"), "settings": dict(settings), "commit": _commit()}


def _first(path: str, key: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith(key)), "")
    except OSError:
        return ""


def _commit() -> str:
    try:
        done = subprocess.run(["git", "-C", BENCH, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return ""
    return done.stdout.decode().strip()
