"""The store: one DuckDB file that holds everything, opened for reading or for writing."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pyarrow as pa
from sqlalchemy import ClauseElement, Connection, Engine, Executable, insert, select, text
from sqlalchemy.exc import DBAPIError

from provenance import __version__
from provenance.dedup.parameters import DedupParameters
from provenance.errors import NotAStore, StoreDamaged, StoreExists, StoreNotMade, StoreReadOnly, StoreWriteFailed
from provenance.ids import id_values, uuid_array
from provenance.store import migrate, schema, views
from provenance.store.connection import first_line, open_engine, someone_waits, wait_until_served
from provenance.store.files import draft_of

if TYPE_CHECKING:
    from provenance.store.query import QueryResult


#: How long a writer that let go of the file waits to get it back.
REOPEN_WAIT_S = 3600.0

# What DuckDB raises when it cannot write; the last one when that shows in the commit.
_CANNOT_WRITE = (duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException, duckdb.TransactionException)


#: Any row: columns of a newer revision were not filled.
_UNSETTLED = "SELECT 1 FROM document WHERE origin = 'human' AND human_ancestry IS NULL LIMIT 1"


def utc_now() -> datetime:
    """Return the present time in UTC without a zone, as the store keeps all times."""
    return datetime.now(UTC).replace(tzinfo=None)


class Store:
    """A provenance store.

    Open one with `Store.open` or make one with `Store.create`; both are context managers. A store opened for reading
    shares the file with other readers; one opened for writing holds it alone.

    Examples
    --------
    >>> with Store.open("corpus.duckdb") as store:  # doctest: +SKIP
    ...     store.sql("SELECT origin, count(*) FROM documents GROUP BY ALL").pandas()
    """

    #: The view `documents` as a selectable: `select(store.documents).where(store.documents.c.origin == "human")`.
    documents = views.documents

    def __init__(self, path: Path, engine: Engine, *, writable: bool, threads: int | None = None) -> None:
        self.path = path
        self.writable = writable
        self._threads = threads
        self._engine = engine

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, dedup: DedupParameters | None = None) -> Self:
        """Make a new store at `path` and return it open for writing.

        Raises
        ------
        StoreExists
            If there is a file at `path`.
        StoreNotMade
            If the file cannot be written.
        """
        target = Path(path)
        if target.exists():
            raise StoreExists(target)
        try:
            # The file gets its name only when its schema is complete, so that a kill leaves no half store behind.
            with draft_of(target, purpose="new") as draft:
                engine = open_engine(draft, writable=True, wait_s=0, create=True)
                try:
                    with engine.connect() as connection:
                        migrate.upgrade(connection)
                        connection.commit()
                        _write_settings(connection, dedup or DedupParameters())
                        connection.commit()
                        # Into the file itself, or an error: a log beside it would not follow its new name.
                        connection.exec_driver_sql("CHECKPOINT")
                finally:
                    engine.dispose()
                draft.rename(target)
        except NotAStore as error:
            raise StoreNotMade(target, error.reason) from error
        except DBAPIError as error:
            raise StoreNotMade(target, first_line(str(error.orig))) from error
        return cls.open(target, writable=True)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, writable: bool = False, wait_s: float = 10.0, threads: int | None = None
    ) -> Self:
        """Open the store at `path`, waiting up to `wait_s` seconds for another process that holds it.

        Parameters
        ----------
        threads : threads of the database; None for one a core

        Raises
        ------
        StoreNotFound, NotAStore, StoreDamaged, StoreBusy
            If the file is not there, no store, damaged, or held for too long.
        StoreRevisionMismatch
            If the store has another schema revision than this program works with.
        """
        target = Path(path)
        engine = open_engine(target, writable=writable, wait_s=wait_s, threads=threads)
        try:
            with _reading(target), engine.connect() as connection:
                migrate.require_head(connection, target)
        except BaseException:
            engine.dispose()
            raise
        return cls(target, engine, writable=writable, threads=threads)

    @classmethod
    def migrate(cls, path: str | os.PathLike[str], *, wait_s: float = 10.0) -> tuple[str, str]:
        """Bring the store at `path` to the revision of this program; return the revisions before and after.

        Raises
        ------
        StoreRevisionMismatch
            If the store is newer than this program.
        """
        from provenance.evidence.settle import settle
        from provenance.laundering.rescan import rescan_if_small

        target = Path(path)
        engine = open_engine(target, writable=True, wait_s=wait_s)
        try:
            with engine.connect() as connection:
                before = migrate.store_revision(connection, target)
                if before > migrate.head_revision():
                    migrate.require_head(connection, target)
                connection.rollback()
                migrate.upgrade(connection)
                connection.commit()
                after = migrate.store_revision(connection, target)
                if after != before or connection.exec_driver_sql(_UNSETTLED).first() is not None:
                    settle(connection)  # what a new rule makes of old claims; also after a kill between the two
                    rescan_if_small(connection)
                    connection.commit()
                return before, after
        finally:
            engine.dispose()

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading; what it reads is one snapshot.

        Raises
        ------
        StoreDamaged
            If the file cannot be read.
        """
        with _reading(self.path), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection for writing: committed when the block ends, rolled back when it raises.

        Raises
        ------
        StoreReadOnly
            If the store was opened for reading.
        StoreWriteFailed
            If the database cannot write, for instance on a full disk.
        """
        if not self.writable:
            raise StoreReadOnly(self.path)
        try:
            with self._engine.begin() as connection:
                try:
                    yield connection
                except duckdb.FatalException:  # after which it cannot even be rolled back
                    connection.invalidate()
                    raise
        except _CANNOT_WRITE as error:
            raise StoreWriteFailed(self.path, first_line(str(error))) from error
        except DBAPIError as error:
            if isinstance(error.orig, _CANNOT_WRITE):
                raise StoreWriteFailed(self.path, first_line(str(error.orig))) from error
            raise

    def fetch(self, statement: Executable | str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the result of a trusted statement as an Arrow table.

        Parameters
        ----------
        statement
            A SQLAlchemy selectable, or SQL with `:named` parameters.
        """
        with self.read() as connection:
            return fetch(connection, statement, parameters)

    def append(self, connection: Connection, table: str, rows: pa.Table) -> int:
        """Insert Arrow rows into a table of the schema by column name and return how many there were."""
        known = schema.metadata.tables[table]
        unknown = set(rows.column_names) - set(known.columns.keys())
        if unknown:
            raise ValueError(f"table {table} has no columns {sorted(unknown)}")
        if rows.num_rows:
            with registered(connection, appended=rows) as raw:
                raw.execute(f'INSERT INTO "{known.name}" BY NAME SELECT * FROM appended')
        return int(rows.num_rows)

    def merge_log(self) -> None:
        """Write everything that stands in the log beside the file into the file itself."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("CHECKPOINT")

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let go of the file inside the block, so that other processes can use it, and open it again after."""
        self._engine.dispose()
        try:
            yield
        finally:
            self._engine = open_engine(self.path, writable=self.writable, wait_s=REOPEN_WAIT_S, threads=self._threads)

    def yield_to_waiting(self) -> bool:
        """Let go of the file for a moment if another process waits for it; return whether one did.

        Long writers call this between two transactions.
        """
        if not someone_waits(self.path):
            return False
        with self.suspended():
            wait_until_served(self.path)
        return True

    def sql(self, query: str) -> QueryResult:
        """Run one reading query, isolated from everything outside the store.

        Raises
        ------
        QueryRefused
            If it is anything but one reading query.
        QueryFailed
            If the database reports an error.
        """
        from provenance.store.query import run_query

        with self._engine.connect() as connection:
            return run_query(connection.connection.driver_connection, query)

    def setting(self, name: str) -> Any:
        """Return a setting of the store, such as `store_id` or `dedup`."""
        with self.read() as connection:
            return connection.execute(select(schema.setting.c.value).where(schema.setting.c.name == name)).scalar_one()

    @property
    def dedup(self) -> DedupParameters:
        """The parameters of the near-duplicate search."""
        return DedupParameters(**self.setting("dedup"))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, duckdb.IOException | duckdb.FatalException):
            raise StoreDamaged(path, first_line(str(error.orig))) from error
        raise


def fetch(connection: Connection, statement: Executable | str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the result of a trusted statement as an Arrow table, inside the connection's transaction."""
    as_arrow = {"duckdb_arrow": True}
    result: Any
    if isinstance(statement, str) and parameters is None:  # as it stands: a colon in it is no parameter
        result = connection.exec_driver_sql(statement, execution_options=as_arrow)
    else:
        executable = text(statement) if isinstance(statement, str) else statement
        result = connection.execute(executable, parameters or {}, execution_options=as_arrow)
    table: pa.Table = result.arrow
    return table


def fetch_ids(connection: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the ids that a trusted query gives in its one column as UUIDs: DuckDB gives UUIDs to Arrow as text."""
    rows = fetch(connection, text(f"SELECT COLUMNS(*)::BLOB FROM ({query})"), parameters)
    return pa.table({rows.column_names[0]: uuid_array(id_values(rows.column(0)))})


def arrow_batches(connection: Connection, statement: ClauseElement, *, size: int) -> Iterator[pa.RecordBatch]:
    """Yield the result of a statement as Arrow batches of at most `size` rows, without holding all of it.

    The database makes the next batch while the caller looks at this one.

    Raises
    ------
    duckdb.Error
        If the database cannot compute it; SQLAlchemy has no part in it.
    """
    raw = _driver_connection(connection)
    compiled: Any = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    values = [compiled.params[name] for name in compiled.positiontup] if compiled.positional else compiled.params
    reader = iter(raw.execute(str(compiled), values).to_arrow_reader(size))
    with ThreadPoolExecutor(1) as ahead:
        following = ahead.submit(next, reader, None)
        while (batch := following.result()) is not None:
            following = ahead.submit(next, reader, None)
            yield batch


@contextmanager
def registered(connection: Connection, **tables: pa.Table) -> Iterator[Any]:
    """Make Arrow tables known by name inside the block and yield DuckDB's connection, in the same transaction.

    For reading them once, in the order in which they are. To join them use `staged`.
    """
    raw = _driver_connection(connection)
    for name, rows in tables.items():
        raw.register(name, rows)
    try:
        yield raw
    finally:
        for name in tables:
            raw.unregister(name)


@contextmanager
def staged(connection: Connection, **tables: pa.Table) -> Iterator[Any]:
    """Like `registered`, but copied into temporary tables: DuckDB cannot push a join's filter on UUIDs into Arrow."""
    with registered(connection, **{f"arrow_{name}": rows for name, rows in tables.items()}) as raw:
        for name in tables:
            raw.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS SELECT * FROM "arrow_{name}"')
    yield raw
    # Not in a `finally`: after an error the transaction is rolled back, and the tables with it.
    for name in tables:
        raw.execute(f'DROP TABLE temp."{name}"')


def _driver_connection(connection: Connection) -> Any:
    """Return DuckDB's own connection, in SQLAlchemy's transaction."""
    if not connection.in_transaction():
        connection.execute(text("SELECT 1"))  # which opens it
    return connection.connection.driver_connection


def _write_settings(connection: Connection, dedup: DedupParameters) -> None:
    settings = {
        "store_id": str(uuid.uuid4()),
        "created_at": utc_now().isoformat(timespec="seconds"),
        "created_by": __version__,
        "dedup": asdict(dedup),
    }
    rows = [{"name": name, "value": value} for name, value in settings.items()]
    connection.execute(insert(schema.setting), rows)
