"""Features that somebody else extracted, brought into the feature store.

Folders of `.npy`, an `.npz`, CSVs of OpenFace and openSMILE, tables with a row per clip. Read `tables.py`,
`sources.py` and `importing.py` in that order. No pickle is ever loaded.
"""

from blended.data.foreign.importing import Imported, identity_of_import, import_features, open_imported
from blended.data.foreign.tables import ImportedConfig

__all__ = ["Imported", "ImportedConfig", "identity_of_import", "import_features", "open_imported"]
