"""A store and who works on its imports, for the tests of both."""

from typing import Any

from engine import proof
from engine.crm.people import (
    customers,
    imports,
)
from engine.crm.people.customer import Customer
from engine.crm.people.import_files import Receiving
from engine.crm.people.import_work import Imports
from engine.crm.people.imports import Import
from engine.crm.people.suppressions import Suppressions
from engine.store.environment import Store
from engine.wiring import TABLES

NOW_MS = 1_790_000_000_000
PEPPER = bytes(range(32))
PROVEN: dict[str, Any] = {"basis": "consent", "purposes": ("marketing",), "evidence": "form of the fair, page 2"}


class Desk:
    """A store, and who works on its imports."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now_ms = NOW_MS
        self.works = Imports(store, Suppressions(PEPPER), lambda: self.now_ms, "CN", "Asia/Shanghai")

    async def upload(self, octets: bytes, **fields: Any) -> Import:
        record = await self.store.write(imports.begin, Import(0, "Fair", **fields), self.now_ms)
        receiving = Receiving(self.store, record.id)
        for at in range(0, len(octets), 1000):
            receiving.feed(octets[at : at + 1000])
            await receiving.settle()
        encoding = await receiving.finish()
        return await self.store.write(_uploaded, record.id, receiving.octets, encoding, self.now_ms)

    async def check(self, record: Import) -> Import:
        await self.store.write(imports.ask_check, record.id, self.now_ms)
        await self.works.once()
        return self.found(record)

    async def run(self, record: Import) -> Import:
        await self.store.write(imports.ask_run, record.id, self.now_ms)
        await self.works.once()
        return self.found(record)

    async def bring(self, octets: bytes, **fields: Any) -> Import:
        return await self.run(await self.upload(octets, **fields))

    async def undo(self, record: Import) -> Import:
        await self.store.write(imports.ask_undo, record.id, self.now_ms)
        await self.works.once()
        return self.found(record)

    def found(self, record: Import) -> Import:
        with self.store.read() as txn:
            return imports.IMPORTS.get(txn, record.id)

    def rows(self, record: Import, *, ran: bool = True) -> list[tuple[int, str, str, str]]:
        with self.store.read() as txn:
            found, _ = imports.rows(txn, record.id, ran, 0, 1000)
        return [(row, fate.status, fate.field, fate.reason) for row, fate in found]

    def customer(self, number: int) -> Customer | None:
        with self.store.read() as txn:
            return customers.find_by_number(txn, number)

    def is_whole(self) -> list[str]:
        with self.store.read() as txn:
            return list(proof.differences(txn))

    def counts(self) -> dict[str, int]:
        """Entries of every table that tells of customers."""
        with self.store.read() as txn:
            mine = [table for table in TABLES if table.name.startswith(("customers", "consents"))]
            return {table.name: table.count(txn) for table in mine}


def _uploaded(txn: Any, identifier: int, octets: int, encoding: str, now_ms: int) -> Import:
    return imports.uploaded(txn, identifier, octets, encoding, now_ms)
