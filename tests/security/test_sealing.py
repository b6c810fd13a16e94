"""What is sealed opens for its purpose, with its key, unchanged, and not otherwise."""

import base64
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.security.sealing import (
    KEY_FILE_NAME,
    SealBrokenError,
    Sealer,
    SecretKeyError,
    new_key_line,
)
from app.settings import Settings


def test_what_is_sealed_opens_for_its_purpose_only(tmp_path: Path) -> None:
    sealer = Sealer.of(Settings(home=tmp_path))
    sealed = sealer.seal("one-time code of a", b"secret")

    assert sealer.open("one-time code of a", sealed) == b"secret"
    assert b"secret" not in sealed
    assert sealer.seal("one-time code of a", b"secret") != sealed
    with pytest.raises(SealBrokenError):
        sealer.open("one-time code of b", sealed)


def test_no_changed_bit_goes_unseen(tmp_path: Path) -> None:
    sealer = Sealer.of(Settings(home=tmp_path))
    sealed = sealer.seal("p", b"s")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealBrokenError):
            sealer.open("p", bytes(changed))
        with pytest.raises(SealBrokenError):
            sealer.open("p", sealed[:place])


def test_keys_change_and_old_secrets_still_open() -> None:
    old, new = new_key_line(), new_key_line()
    before = Sealer.of(Settings(secret_key=SecretStr(old)))
    both = Sealer.of(Settings(secret_key=SecretStr(f"{new},{old}")))
    after = Sealer.of(Settings(secret_key=SecretStr(new)))
    sealed = before.seal("p", b"s")

    assert both.open("p", sealed) == b"s"
    assert not both.is_current(sealed)
    assert after.open("p", both.seal("p", b"s")) == b"s"
    with pytest.raises(SealBrokenError, match="not known here"):
        after.open("p", sealed)


def test_what_is_hidden_says_nothing_and_comes_back() -> None:
    old, new = new_key_line(), new_key_line()
    sealer = Sealer.of(Settings(secret_key=SecretStr(old)))
    turned = Sealer.of(Settings(secret_key=SecretStr(f"{new},{old}")))
    fresh = [sealer.hide("cursor", "7310") for _ in range(2)]
    alike = [sealer.hide("cursor", "7310", alike=True) for _ in range(2)]

    assert fresh[0] != fresh[1]
    assert alike[0] == alike[1] != sealer.hide("cursor", "7311", alike=True)
    for hidden in (*fresh, *alike):
        assert re.fullmatch(r"[\w-]+", hidden), "addresses take it as it is"
        assert b"7310" not in base64.urlsafe_b64decode(hidden + "=" * (-len(hidden) % 4))
        assert sealer.reveal("cursor", hidden) == turned.reveal("cursor", hidden) == "7310"
        assert sealer.reveal("changes", hidden) is None
    for nothing in ("", "x", "é", "=" * 9, fresh[0][:-4], sealer.name("cursor", "7310")):
        assert sealer.reveal("cursor", nothing) is None
    # A name is the same each time, and another one where the key is.
    names = {one.name("snapshot", "7310") for one in (sealer, sealer, turned)}
    assert len(names) == 2
    assert sealer.name("snapshot", "7311") not in names


def test_a_missing_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealers = [Sealer.of(Settings(home=tmp_path / "home")) for _ in range(8)]
        sealed = list(pool.map(lambda sealer: sealer.seal("p", b"s"), sealers))

    path = tmp_path / "home" / KEY_FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [KEY_FILE_NAME]
    assert {sealers[0].open("p", one) for one in sealed} == {b"s"}


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o666])
def test_a_key_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    path.write_text(new_key_line())
    path.chmod(0o440)  # as orchestrators mount it for a group
    Sealer.of(Settings(secret_key_file=path)).check()

    path.chmod(mode)
    with pytest.raises(SecretKeyError, match="Others may read"):
        Sealer.of(Settings(secret_key_file=path)).check()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "changeme",
        "00000000:" + "A" * 43 + "=",
        "0011:" + new_key_line().partition(":")[2],
        "zzzzzzzz:" + new_key_line().partition(":")[2],
        new_key_line()[:-4],
    ],
    # Keys are drawn anew in each process; the names of the tests must not be.
    ids=["nothing", "a word", "zeros", "short id", "no id", "cut off"],
)
def test_what_is_no_random_key_is_refused(text: str) -> None:
    with pytest.raises(SecretKeyError):
        Sealer.of(Settings(secret_key=SecretStr(text))).check()


def test_a_file_that_is_set_and_missing_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(SecretKeyError, match="cannot be read"):
        Sealer.of(Settings(secret_key_file=path)).check()
    assert not os.path.lexists(path)
