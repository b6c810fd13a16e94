"""Names, numbers and addresses of people: their one form, and how they look with stars.

Pure. No error of this file repeats what it was given.
"""

import re
import unicodedata

from app.kernel.errors import Fault

#: What people write between the digits of a number.
_BETWEEN = re.compile(r"[\s()\-\u00a0\u2010-\u2015]")
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_CHINESE_MOBILE = re.compile(r"(?:\+?86)?(1[3-9]\d{9})")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s.\x00-\x1f\x7f]+(?:\.[^@\s.\x00-\x1f\x7f]+)+")
EMAIL_LENGTH_MAX = 254


def plain_name(given: str) -> str | None:
    """A name, or None: it has a control character, or is one with stars that was read here.

    >>> plain_name(" 示例联系人 01 ")
    '示例联系人 01'
    >>> plain_name("示*")
    """
    name = unicodedata.normalize("NFC", given).strip()
    wrong = not name or "*" in name or any(unicodedata.category(one) == "Cc" for one in name)
    return None if wrong else name


def plain_phone(given: str) -> str | None:
    """A number in the form of E.164; None: it is neither that nor a mobile number of China.

    >>> plain_phone("138 0000 0001"), plain_phone("+44 20 7946 0000")
    ('+8613800000001', '+442079460000')
    >>> plain_phone("12345")
    """
    digits = _BETWEEN.sub("", given)
    mobile = _CHINESE_MOBILE.fullmatch(digits)
    if mobile is not None:
        return f"+86{mobile[1]}"
    return digits if digits.isascii() and _E164.fullmatch(digits) else None


def plain_email(given: str) -> str | None:
    """An address, its host in small letters; None: it has not the form of one.

    >>> plain_email("Contact01@Example.INVALID")
    'Contact01@example.invalid'
    """
    email = unicodedata.normalize("NFC", given).strip()
    if len(email) > EMAIL_LENGTH_MAX or "*" in email or not _EMAIL.fullmatch(email):
        return None
    name, _, host = email.rpartition("@")
    return f"{name}@{host.lower()}"


def masked_name(name: str) -> str:
    """The first character, whatever the length.

    >>> masked_name("示例联系人"), masked_name("Q")
    ('示*', '*')
    """
    return f"{name[0]}*" if len(name) > 1 else "*"


def masked_phone(phone: str) -> str:
    """Enough of a number in the form of E.164 to tell two apart, too little to call.

    >>> masked_phone("+8613800000001"), masked_phone("+442079460000"), masked_phone("+1234567")
    ('138****0001', '+44********00', '+12***67')
    """
    mobile = _CHINESE_MOBILE.fullmatch(phone)
    if mobile is not None:
        return f"{mobile[1][:3]}****{mobile[1][-4:]}"
    return f"{phone[:3]}{'*' * (len(phone) - 5)}{phone[-2:]}"


def masked_email(email: str) -> str:
    """The first character, and the host.

    >>> masked_email("contact01@example.invalid")
    'c***@example.invalid'
    """
    name, _, host = email.rpartition("@")
    return f"{name[:1]}***@{host}"


def name_fault() -> Fault:
    """What is wrong with a name that is none."""
    return Fault(
        "/name",
        "must be a name, without stars or control characters",
        detail_zh="应为姓名，不含星号与控制字符",
    )


def phone_fault() -> Fault:
    """What is wrong with a number that is none."""
    return Fault(
        "/phone",
        "must be a mobile number of China, or a number with its country code (E.164)",
        detail_zh="应为中国大陆手机号，或带国家/地区代码的号码（E.164）",
    )


def email_fault() -> Fault:
    """What is wrong with an address that is none."""
    return Fault("/email", "must be an e-mail address", detail_zh="应为邮箱地址")
