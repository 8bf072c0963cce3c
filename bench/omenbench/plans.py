"""Which plan a query gets, and how the planner is kept from others."""

from __future__ import annotations

import json
from typing import Any

from .server import Database


def explained(db: Database, script: str) -> list[Any]:
    """The plans that a psql script prints, with EXPLAIN (FORMAT json), among nothing else."""
    return json_values("\n".join(row[0] for row in db.execute(script)))


def scan_of(explained_plan: Any) -> str:
    """How rows are read: the name of the index, "bitmap", "seq", or what the node is called.

    A search among the rows of a bitmap is named by the index that it searches, its first child.
    """
    node = explained_plan[0]["Plan"]
    while "Plans" in node and node["Node Type"] != "Bitmap Heap Scan":
        relationship = "children" if node["Node Type"] == "Custom Scan" else "Outer"
        node = next(child for child in node["Plans"] if child["Parent Relationship"] == relationship)
    if node["Node Type"] in ("Index Scan", "Index Only Scan"):
        return node["Index Name"]
    return {"Bitmap Heap Scan": "bitmap", "Seq Scan": "seq"}.get(node["Node Type"], node["Node Type"])


def show_only(db: Database, table: str, indexes: list[str]) -> None:
    """Hide all other indexes of a table from the planner, as if they were not ready yet."""
    names = ", ".join(f"'{name}'" for name in ["", *indexes])
    db.execute(f"""UPDATE pg_index SET indisvalid = relname IN ({names}) FROM pg_class
        WHERE indexrelid = pg_class.oid AND indrelid = '{table}'::regclass;""")


def json_values(text: str) -> list[Any]:
    """All values of a text that holds one after the other."""
    decoder = json.JSONDecoder()
    values = []
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].strip()
    return values
