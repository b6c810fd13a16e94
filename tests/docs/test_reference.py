"""The reference pages are whole: nothing a caller or operator meets goes undocumented."""

import importlib
import pkgutil
from pathlib import Path

import app
from app.kernel.errors import SpaceRelayError
from app.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def every_error() -> set[type[SpaceRelayError]]:
    """All error classes of the application, once every module is loaded."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith(("__main__", "launcher")):
            importlib.import_module(module.name)
    found: set[type[SpaceRelayError]] = set()
    waiting = [SpaceRelayError]
    while waiting:
        children = waiting.pop().__subclasses__()
        found.update(children)
        waiting.extend(children)
    return found


def test_every_problem_type_is_documented() -> None:
    page = (DOCS / "reference" / "problems.md").read_text(encoding="utf-8")
    missing = sorted({error.slug for error in every_error() if f"## {error.slug}\n" not in page})
    assert missing == []


def test_every_problem_type_speaks_both_languages_and_has_a_name_of_its_own() -> None:
    errors = every_error()
    slugs = [error.slug for error in errors if "slug" in vars(error)]
    assert sorted(slugs) == sorted(set(slugs))
    assert [e.slug for e in errors if e.title_zh == SpaceRelayError.title_zh] == []


def test_every_setting_is_documented() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    names = [f"SPACE_RELAY_{name.upper()}" for name in Settings.model_fields]
    assert [name for name in names if f"`{name}`" not in page] == []
