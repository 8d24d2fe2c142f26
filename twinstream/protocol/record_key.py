"""The Kafka key of a live record, for every sender: the bytes of its source's key once decoded and
cleaned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from twinstream.algebra import keys
from twinstream.define.cleaned import cleaned_value
from twinstream.define.source import Source
from twinstream.define.values import stored
from twinstream.errors import RecordError


def key_of_each(source: Source, batch: pa.RecordBatch) -> list[bytes | None]:
    """One for each decoded record: `10` and `10.0` of an Int are one key, so views by it find
    partition and key together.
    """
    return [keys.encode((value,)) for value in batch.column(source.key).to_pylist()]


def key_of(source: Source, record: Mapping[str, Any]) -> bytes | None:
    """The same for one record as JSON gives it, with its numbers exact.

    None where the key does not fit: any partition will do for what becomes a dead letter.
    """
    try:
        value = stored(source.fields[source.key], record.get(source.key))
    except RecordError:
        return None
    return keys.encode((cleaned_value(source, source.key, value),))
