"""Which passwords are taken, and what is kept of them."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.kernel.errors import InvalidInputError
from app.security.staff.passwords import LENGTH_MAX, Passwords, require_good_password
from tests.security.staff.conftest import PASSWORD

OWN = ("lin.manager@example.invalid", "林经理的姓名")


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "shortherons.",
        "correct horse battery staple",
        "十二个字符以上的中文口令可以用",  # no rule about which characters
        "aq9 kd02 lfm1",
        "ⅣⅣ seven herons over the river",
        "x7" * 3 + "herons" * 10,
    ],
)
def test_long_and_unlikely_is_enough(password: str) -> None:
    require_good_password(password, OWN)


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password!Password!",
        "123456123456",
        "aaaaaaaaaaaaaaaa",
        "qwertyuiop1234",
        "lin.manager@example.invalid",
        "Lin.Manager2026",
        "林经理的姓名林经理的姓名林",
        "SpaceRelay2026!",
        "shortherons",
        "seven herons" * LENGTH_MAX,
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_good_password(password, OWN)
    assert refused.value.faults[0].pointer == "/password"
    assert refused.value.faults[0].detail_zh


def test_argon2id_is_what_is_kept_and_nothing_of_the_password() -> None:
    kept = Passwords().hash(PASSWORD)

    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Passwords().verify(PASSWORD, kept) == (True, None)
    assert Passwords().verify(PASSWORD + "x", kept) == (False, None)


def test_the_same_characters_are_the_same_however_typed() -> None:
    cheap = _costing(8)
    kept = cheap.hash("ＡＢＣ seven herons")
    assert cheap.verify("ABC seven herons", kept) == (True, None)


def test_a_hash_of_another_cost_is_made_anew() -> None:
    old, new = _costing(8), _costing(16)
    right, anew = new.verify(PASSWORD, old.hash(PASSWORD))

    assert right
    assert anew is not None
    assert new.verify(PASSWORD, anew) == (True, None)


def test_where_nothing_is_known_a_hash_is_compared_all_the_same() -> None:
    hashing = _Counting((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    passwords = Passwords(hashing)
    passwords.verify(PASSWORD, passwords.hash(PASSWORD))
    known = hashing.compared

    assert passwords.verify(PASSWORD, None) == (False, None)
    assert hashing.compared == 2 * known == 2


class _Counting(PasswordHash):
    compared = 0

    def verify_and_update(
        self,
        password: str | bytes,
        hash: str | bytes,  # noqa: A002 - the library's name
    ) -> tuple[bool, str | None]:
        self.compared += 1
        return super().verify_and_update(password, hash)


def _costing(memory_cost: int) -> Passwords:
    return Passwords(
        PasswordHash((Argon2Hasher(time_cost=1, memory_cost=memory_cost, parallelism=1),))
    )
