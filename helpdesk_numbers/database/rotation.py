"""Everything encrypted anew with the newest key, a part at a time."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Table, select, update

from .encryption import Undecipherable
from .opening import Database
from .tables import accounts, installs, portals

ENCRYPTED: tuple[tuple[Table, Column[Any], Column[Any]], ...] = (
    (accounts, accounts.c.name, accounts.c.secrets),
    (portals, portals.c.id, portals.c.token),
    (installs, installs.c.portal_id, installs.c.access_token),
    (installs, installs.c.portal_id, installs.c.refresh_token),
)
"""Each table with its key and the column that is encrypted."""

AT_ONCE = 200


def rotate(database: Database) -> Iterator[tuple[int, int]]:
    """Encrypt what is not yet encrypted with the newest key; yield after each part how many were,
    and how many cannot be decrypted. A row that is changed meanwhile keeps its change."""
    done = lost = 0
    for table, key, column in ENCRYPTED:
        last = None
        while True:
            asked = select(key, column).where(column.is_not(None)).order_by(key).limit(AT_ONCE)
            with database.engine.begin() as connection:
                found = connection.execute(asked if last is None else asked.where(key > last)).all()
                for name, old in found:
                    place = table.name, str(name), column.name
                    if database.encryption.is_newest(old, *place):
                        continue
                    try:
                        text = database.encryption.decrypt(old, *place)
                    except Undecipherable:
                        lost += 1
                        continue
                    new = {column.name: database.encryption.encrypt(text, *place)}
                    same = (key == name) & (column == old)
                    done += connection.execute(update(table).where(same).values(new)).rowcount
            if not found:
                break
            last = found[-1][0]
            yield done, lost
    yield done, lost
