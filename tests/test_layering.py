"""The house's directions: a room may know those below it, and nothing above.

Imports inside functions count too: being late does not make a direction right.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "backfill"

# From the ground up. Rooms on one floor do not know each other.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "model", "placing", "terminal", "version"}),
    frozenset({"address"}),
    frozenset({"config", "destinations", "manifest"}),
    frozenset({"bars", "credentials", "prepare", "ledger", "status"}),
    frozenset({"audit", "deliver", "export", "outputs", "records", "soundness"}),
    frozenset({"naming", "own_thread", "planning", "settings", "standing"}),
    frozenset({"job", "frames", "discover"}),
    frozenset({"jobs", "report", "sandbox", "progress"}),
    frozenset({"api"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
# The sandbox is a witness of its own, and has to decide without what it is a witness of.
ONLY = {
    "sandbox": frozenset({"errors", "model", "version"}),
    "prepare": frozenset({"errors", "model", "version", "config", "destinations", "manifest"}),
    "ledger": frozenset({"errors", "model", "placing"}),
    "destinations": frozenset({"errors", "model", "terminal"}),
    "config": frozenset({"address", "errors", "model"}),
    "deliver": frozenset(
        {"address", "errors", "model", "terminal", "version", "manifest", "destinations", "ledger"}
    ),
}
# A job and its status offer their faces to a notebook; they are asked for when they are used.
UPWARDS = {("job", "report"), ("job", "progress"), ("status", "report")}


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "backfill":
                names = [f"backfill.{alias.name}" for alias in node.names]
            else:
                names = [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("backfill.")}
    return found


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_knows_only_those_below_it(path):
    room = room_of(path)
    for other in imports_of(path) - {room}:
        if (room, other) in UPWARDS:
            continue
        assert floor_of(other) < floor_of(room), f"{room} imports {other}, which is not below it"
        allowed = ONLY.get(room)
        assert allowed is None or other in allowed, f"{room} may not know {other}"


def test_every_room_has_its_floor():
    rooms = {room_of(path) for path in modules()}
    assert rooms <= frozenset().union(*FLOORS)


def test_the_http_library_is_known_in_one_module_of_deliver():
    users = {
        path.name
        for path in (PACKAGE / "deliver").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(a.name.startswith("aiohttp") for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiohttp"))
    }
    assert users <= {"transport.py", "connections.py", "faults.py"}


def test_only_the_ledger_knows_sqlite():
    users = {
        room_of(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and any(alias.name == "sqlite3" for alias in node.names)
    }
    assert users == {"ledger"}
