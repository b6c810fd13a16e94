"""统一社会信用代码: the 18 characters that name a firm, and the check digit that catches slips.

Source: GB 32100-2015, which weighs the first 17 characters with powers of 3 modulo 31.
"""

from app.kernel.errors import Fault, InvalidInputError

#: Digits and capitals without I, O, S, V and Z, which are mistaken for digits.
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LENGTH = 18


def check_character(body: str) -> str:
    """The eighteenth character for the first seventeen.

    >>> check_character("91350100M000100Y4")
    '3'
    """
    total = sum(
        ALPHABET.index(character) * pow(3, place, len(ALPHABET))
        for place, character in enumerate(body)
    )
    return ALPHABET[-total % len(ALPHABET)]


def checked_credit_code(text: str, pointer: str = "/unified_social_credit_code") -> str:
    """The code as it is stored: trimmed, in capitals.

    Raises:
        InvalidInputError: it has another length, a character the standard does not use, or a
            wrong check character; the fault says which character is expected.
    """
    code = text.strip().upper()
    if len(code) != LENGTH:
        raise _refusal(pointer, f"a credit code has {LENGTH} characters; this one has {len(code)}")
    for place, character in enumerate(code, start=1):
        if character not in ALPHABET:
            raise _refusal(
                pointer,
                f"character {place} is {character!r}; only digits and capitals"
                " without I, O, S, V and Z are used",
            )
    expected = check_character(code[:-1])
    if code[-1] != expected:
        raise _refusal(
            pointer,
            f"the check digit does not hold: after {code[:-1]} the last character"
            f" must be {expected!r}, not {code[-1]!r}; compare the code with the licence",
        )
    return code


def _refusal(pointer: str, detail: str) -> InvalidInputError:
    return InvalidInputError(
        f"the credit code is not valid: {detail}",
        [Fault(pointer, detail, detail_zh="应为 18 位且校验码相符，请与营业执照核对")],
        detail_zh="统一社会信用代码不正确：应为 18 位且校验码相符，请与营业执照核对",
    )
