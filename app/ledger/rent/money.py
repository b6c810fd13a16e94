"""Exact CNY amounts, and the one place where they become fen. Pure."""

from decimal import Decimal
from fractions import Fraction
from math import floor


def fen(exact_cny: Fraction) -> int:
    """Whole fen, rounded half up (四舍五入); amounts are never negative.

    >>> fen(Fraction("0.125")), fen(Fraction("0.1249"))
    (13, 12)
    """
    return floor(exact_cny * 100 + Fraction(1, 2))


def cny(whole_fen: int) -> Decimal:
    """Fen as CNY with two decimals.

    >>> cny(1230)
    Decimal('12.30')
    """
    return Decimal(whole_fen).scaleb(-2)


def exact_text(exact_cny: Fraction) -> str:
    """An exact amount to print: a decimal number where it ends, a fraction where it does not.

    >>> exact_text(Fraction("1234.5")), exact_text(Fraction(370, 31))
    ('1234.5', '370/31')
    """
    rest, places = exact_cny.denominator, 0
    for prime in (2, 5):
        times = 0
        while rest % prime == 0:
            rest, times = rest // prime, times + 1
        places = max(places, times)
    if rest != 1:
        return str(exact_cny)
    whole, part = divmod(exact_cny.numerator * 10**places // exact_cny.denominator, 10**places)
    return f"{whole}.{part:0{places}d}" if places else str(whole)
