"""Features that somebody else extracted, brought into the feature store.

Folders of `.npy`, an `.npz`, CSVs of OpenFace and openSMILE, tables with a row per clip. Read `config.py`,
`numbers_table.py`, `layouts.py`, `sources.py` and `importing.py` in that order. No pickle is ever loaded.
"""

from blended.data.foreign.config import ImportedConfig
from blended.data.foreign.importing import Imported, identity_of_import, import_features, open_imported

__all__ = ["Imported", "ImportedConfig", "identity_of_import", "import_features", "open_imported"]
