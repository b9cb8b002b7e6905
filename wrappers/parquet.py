"""pyarrow, where it is installed: rows of the store as a Parquet file. Met here only, and imported when it is needed.

Called by `results export`. Columns are those of the table `runs`, in its order and with its types.
"""

from collections.abc import Iterable
from itertools import islice
from typing import IO

from ..orchestrator.errors import EXIT_USAGE, OperatorError
from ..orchestrator.results.rows import Row

ROWS = 5_000  # of a group: so many are held at a time
_WHOLE, _REAL = ("repetition", "attempt"), ("started", "ended")


def write_parquet(file: IO[bytes], rows: Iterable[Row]) -> int:
    """Write all of them, and return how many. Raises OperatorError without pyarrow, and OSError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        hint = "`pip install pyarrow` into exitpin's environment, or use --format jsonl."
        raise OperatorError("Parquet needs the Python package pyarrow, which is not here.", hint, EXIT_USAGE) from error
    kinds = {**dict.fromkeys(_WHOLE, pyarrow.int64()), **dict.fromkeys(_REAL, pyarrow.float64())}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in Row._fields])
    rest, count = iter(rows), 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as table:
        while some := list(islice(rest, ROWS)):
            columns = dict(zip(Row._fields, map(list, zip(*some, strict=True)), strict=True))
            table.write_table(pyarrow.table(columns, schema))
            count += len(some)
    return count
