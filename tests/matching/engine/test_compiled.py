"""What was compiled from other sources is never run."""

from pathlib import Path

import pytest
from numba import config

from app.matching import columns
from app.matching.engine import compiled, kernel, masks


def test_kernels_are_kept_in_a_folder_of_their_own_sources() -> None:
    assert Path(vars(config)["CACHE_DIR"]).name.startswith("kernels-")
    kept = {Path(str(module.__file__)) for module in (columns, kernel, masks)}
    assert kept <= set(compiled.sources())


def test_another_source_is_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "step.py"
    source.write_text("one = 1")
    monkeypatch.setattr(compiled, "sources", lambda: [source])
    folders = []
    for text in ("one = 1", "one = 2", "one = 1"):
        monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
        source.write_text(text)
        compiled._keep_apart()
        folders.append(vars(config)["CACHE_DIR"])
    assert folders[0] == folders[2] != folders[1]
