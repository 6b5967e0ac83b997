"""Tables, transactions, migrations. Knows nothing of HTTP or media.

A medical record is a row that is never changed: a correction is a new version that names the old one
(`tables.Record`). Directory rows (institutions, people who log in, vehicles) are edited in place and audited.
"""

from teleconsult.store.engine import Store, Transaction
from teleconsult.store.records import latest, new_version, versions

__all__ = ["Store", "Transaction", "latest", "new_version", "versions"]
