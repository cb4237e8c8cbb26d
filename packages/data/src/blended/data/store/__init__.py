"""The feature store: what an encoder made of every clip of a corpus, in one folder.

`data/features/<corpus>/<encoder name>/` holds `shard-00000.safetensors`, ... and `index.parquet`. A shard
is a fixed slice of the sorted clip ids and carries its own index rows; the index is put together from
them at the end, so a store without an index is an unfinished one. Read `identity.py`, `shard.py`,
`writer.py` and `reader.py` in that order.
"""

from blended.data.store.reader import FeatureStore
from blended.data.store.shard import Identity, Row, ShardRecord, read_record, write_shard
from blended.data.store.writer import ShardPlan, StoreWriter, locked

__all__ = [
    "FeatureStore",
    "Identity",
    "Row",
    "ShardPlan",
    "ShardRecord",
    "StoreWriter",
    "locked",
    "read_record",
    "write_shard",
]
