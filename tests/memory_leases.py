"""A store of leases in memory, for many workers in one process."""

from __future__ import annotations

from sipo.common.files.leases import Mark, Owner


class MemoryStore:
    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}

    def create(self, name: str, owner: Owner) -> bool:
        return self.marks.setdefault(name, Mark(owner, 0)).owner == owner

    def look(self, name: str) -> Mark | None:
        return self.marks.get(name)

    def touch(self, name: str, owner: Owner) -> None:
        mark = self.marks.get(name)
        if mark is not None and mark.owner == owner:
            self.marks[name] = Mark(owner, mark.beat + 1)

    def remove(self, name: str, mark: Mark) -> bool:
        found = self.marks.get(name)
        if found is None or found.owner != mark.owner:
            return False
        del self.marks[name]
        return True

    def names(self, of: str) -> list[str]:
        return [name for name in self.marks if name.startswith(of)]
