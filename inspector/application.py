"""Sets Datasette up for the state file: what it may do, how long it may take, and our pages in it."""

import sqlite3
from pathlib import Path
from typing import Any

from datasette.app import Datasette
from datasette.plugins import pm
from datasette.utils import parse_metadata

from inspector import plugin
from inspector.access import AccessControl, App, new_token
from inspector.database import NAME, StateDatabase

_HERE = Path(__file__).parent

_SETTINGS = {
    # The longest that a read may last. It can delay the daemon's wiping of erased payloads (semantics 5.1) by
    # as long. Every question of our own pages is bounded by an index and takes a few milliseconds.
    "sql_time_limit_ms": 2_000,
    "facet_time_limit_ms": 300,
    "suggest_facets": False,  # a query over the whole table for every column
    "default_page_size": 50,
    "max_returned_rows": 1_000,
    "allow_download": False,  # half a file: the rest is in the write-ahead log
    "num_sql_threads": 3,
    "truncate_cells_html": 120,
    "template_debug": False,
    "trace_debug": False,
}


class Inspector:
    """
    The application over one state file.

    Args:
        path: The state file. It may be missing.
        host: The address or name on which the server listens.

    Attributes:
        token: What the first request must carry in its address.
    """

    def __init__(self, path: Path, host: str = "127.0.0.1") -> None:
        self.token = new_token()
        # Plugins that happen to be installed next to us were written for other purposes. Some of them write.
        for foreign, _ in pm.list_plugin_distinfo():
            pm.unregister(foreign)
        if pm.has_plugin("datasette.handle_exception"):
            pm.unregister(name="datasette.handle_exception")  # ours takes its place
        if not pm.is_registered(plugin):
            pm.register(plugin, "gladly-segment-inspector")
        self.datasette: Any = Datasette(
            [],
            metadata=parse_metadata((_HERE / "metadata.yaml").read_text(encoding="utf-8")),
            settings=_SETTINGS,
            template_dir=str(_HERE / "templates"),
            static_mounts=[("assets", str(_HERE / "assets"))],
            memory=False,
        )
        self.database = StateDatabase(self.datasette, path)
        self.datasette.add_database(self.database, name=NAME)
        self._opened: list[sqlite3.Connection] = []
        _remember_connections(self.datasette.databases["_internal"], self._opened)
        self.app: App = AccessControl(self.datasette.app(), host, self.token)

    def close(self) -> None:
        """Wait for the queries that are running, and close the file."""
        self.datasette.executor.shutdown(wait=True, cancel_futures=True)
        self.database.close()
        while self._opened:
            self._opened.pop().close()


def _remember_connections(database: Any, opened: list[sqlite3.Connection]) -> None:
    """Note the connections to the in-memory database of Datasette, which does not close them itself."""
    connect = database.connect

    def remembered(write: bool = False) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(write=write)
        opened.append(connection)
        return connection

    database.connect = remembered
