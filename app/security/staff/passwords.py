"""Passwords: what is kept of them, and which ones are taken.

As NIST SP 800-63B has it: long enough, not among those that everybody guesses first, and no rules
about which characters. Argon2id with the library's own cost, which is RFC 9106's second choice.
"""

import secrets
import unicodedata
from collections.abc import Iterable
from functools import cached_property

from pwdlib import PasswordHash

from app.kernel.errors import Fault, InvalidInputError

LENGTH_MIN = 12
#: Nobody types more, and hashing a megabyte would keep the gate busy.
LENGTH_MAX = 200
#: What must be left of a password without the words that are guessed first.
_OWN_PART_MIN = 8
_DIFFERENT_CHARACTERS_MIN = 5
_GUESSED_FIRST = frozenset(
    (
        *("password", "passw0rd", "passwort", "mima", "qwerty", "qwertyuiop", "asdfgh", "zxcvbn"),
        *("1qaz2wsx", "q1w2e3", "abcdef", "abc123", "123456", "234567", "345678", "456789"),
        *("567890", "654321", "987654", "112233", "666666", "888888", "111111", "000000"),
        *("admin", "administrator", "manager", "letmein", "welcome", "changeme", "iloveyou"),
        *("woaini", "secret", "default", "spacerelay", "space relay", "space-relay"),
        *("shanghai", "zhangjiang", "biopark"),
    )
)


class Passwords:
    """Hashes and compares passwords."""

    def __init__(self, hashing: PasswordHash | None = None) -> None:
        """``hashing`` costs what the library recommends unless told; tests take a cheap one."""
        self._hashing = hashing or PasswordHash.recommended()

    @cached_property
    def _nobodys(self) -> str:
        return self._hashing.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """What to keep of a password."""
        return self._hashing.hash(_normal(password))

    def verify(self, password: str, known: str | None) -> tuple[bool, str | None]:
        """Whether the password is the one of ``known``; a new hash where the cost has changed.

        Takes as long where nothing is known, so that the time does not tell which accounts exist.
        """
        nobodys = self._nobodys  # whoever comes first, known or not, waits until it is made
        matches, anew = self._hashing.verify_and_update(_normal(password), known or nobodys)
        return (False, None) if known is None else (matches, anew)


def require_good_password(password: str, own_words: Iterable[str]) -> None:
    """Refuse what is short, or easily guessed.

    ``own_words`` are the person's name and e-mail address.

    Raises:
        InvalidInputError: with the rule that is broken.
    """
    normal = _normal(password).casefold()
    if not LENGTH_MIN <= len(normal) <= LENGTH_MAX:
        raise _bad(
            f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters; a few words will do",
            f"密码须为 {LENGTH_MIN} 至 {LENGTH_MAX} 个字符，可用几个词语组成",
        )
    own = {part for word in own_words for part in (word, *word.casefold().split("@"))}
    rest = normal
    for word in sorted(own | _GUESSED_FIRST, key=len, reverse=True):
        if len(word) > 1:
            rest = rest.replace(word.casefold(), "")
    if len(rest) < _OWN_PART_MIN or len(set(normal)) < _DIFFERENT_CHARACTERS_MIN:
        raise _bad(
            "this password is easily guessed: it is little more than a common word, a row of"
            " keys, or your own name",
            "该密码容易被猜到：主要由常见词语、键盘顺序或本人姓名构成",
        )


def _bad(detail: str, detail_zh: str) -> InvalidInputError:
    return InvalidInputError(detail, [Fault("/password", detail, detail_zh=detail_zh)])


def _normal(password: str) -> str:
    """The same characters however they were typed (NFKC)."""
    return unicodedata.normalize("NFKC", password)
