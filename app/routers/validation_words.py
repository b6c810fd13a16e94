"""Words for what a request's form gets wrong: Chinese ones, and the library's English put right."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

#: By the library's stable name of the fault; braces are filled from its context.
_WORDS = {
    "missing": "缺少必填项",
    "extra_forbidden": "没有这个字段，请核对名称",
    "json_invalid": "不是有效的 JSON",
    "model_attributes_type": "应为 JSON 对象，请同时发送 Content-Type: application/json",
    "dict_type": "应为 JSON 对象",
    "list_type": "应为列表",
    "string_type": "应为文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "至多 {max_length} 个字符",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "decimal_type": "应为数字",
    "decimal_parsing": "应为数字",
    "decimal_max_digits": "数字位数过多，至多 {max_digits} 位",
    "decimal_max_places": "小数至多 {decimal_places} 位",
    "finite_number": "应为有限数值",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "enum": "应为 {expected}",
    "literal_error": "应为 {expected}",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不得小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不得大于 {le}",
    "too_short": "至少 {min_length} 项",
    "too_long": "至多 {max_length} 项",
    "date_type": "应为日期，如 2027-01-01",
    "date_parsing": "应为日期，如 2027-01-01",
    "date_from_datetime_parsing": "应为日期，如 2027-01-01",
    "datetime_parsing": "应为带时区的时刻，如 2027-01-01T00:00:00Z",
    "datetime_from_date_parsing": "应为带时区的时刻，如 2027-01-01T00:00:00Z",
    "timezone_aware": "时刻须带时区，如 2027-01-01T00:00:00Z",
    "uuid_type": "应为 UUID",
    "uuid_parsing": "应为 UUID",
}
_OTHERWISE = "取值不符合要求"


class _Form(NamedTuple):
    """What a pattern means."""

    en: str
    zh: str


_NUMBER = r"-?\d{1,3}(?:\.\d{1,15})?"
#: By pattern; a test holds that every pattern of the interface is here.
PATTERNS: Mapping[str, _Form] = {
    r"^[^\x00]*$": _Form("must not contain a NUL character", "不得含空字符（NUL）"),
    r"^[^\x00]+$": _Form(
        "must not be empty or contain a NUL character", "不得为空，也不得含空字符（NUL）"
    ),
    r"^[^\x00]*[^\s\x00][^\x00]*$": _Form(
        "must say something, and not contain a NUL character", "不得为空白，也不得含空字符（NUL）"
    ),
    r"^[^\s/\x00]+$": _Form("must not contain spaces or a slash", "不得含空格或“/”"),
    "^(json|geojson)$": _Form("must be json or geojson", "应为 json 或 geojson"),
    f"^{_NUMBER}(,{_NUMBER}){{3}}$": _Form(
        "must be west,south,east,north in degrees, as 121.58,31.18,121.66,31.23",
        "应为 西,南,东,北 四个以度为单位的数，如 121.58,31.18,121.66,31.23",
    ),
    r"^[^@\s\x00]{1,64}@[^@\s\x00.]+(\.[^@\s\x00.]+)+$": _Form(
        "must be an e-mail address", "应为邮箱地址"
    ),
    "^/api/v1/": _Form("must be a path of this service", "应为本服务的路径"),
    f"^{_NUMBER},{_NUMBER}$": _Form(
        "must be longitude,latitude in degrees, as 121.60,31.20",
        "应为 经度,纬度 两个以度为单位的数，如 121.60,31.20",
    ),
}
_ANY_FORM = _Form("does not have the form of this field", "格式不符，见该字段的说明")
#: What is raised by code that the library calls.
_RAISED = frozenset({"value_error", "assertion_error"})
#: How Python writes a member of an enumeration.
_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*'|\d+)>")


def in_chinese(fault: Mapping[str, Any]) -> str:
    """The fault in Chinese.

    >>> in_chinese({"type": "greater_than", "ctx": {"gt": 0}})
    '应大于 0'
    >>> in_chinese({"type": "enum", "ctx": {"expected": "'hold', 'lease' or 'works'"}})
    '应为 hold、lease 或 works'
    """
    kind, context = str(fault["type"]), dict(fault.get("ctx", {}))
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context.get("pattern", ""), _ANY_FORM).zh
    if "expected" in context:
        plain = _MEMBER.sub(r"\1", str(context["expected"])).replace("'", "")
        context["expected"] = plain.replace(", ", "、").replace(" or ", " 或 ")
    try:
        return _WORDS.get(kind, _OTHERWISE).format(**context)
    except KeyError:
        return _OTHERWISE


def in_english(fault: Mapping[str, Any]) -> str:
    """The library's words, without what only a programmer of this service would understand.

    >>> far = ValueError("too far")
    >>> in_english({"type": "value_error", "msg": "Value error, too far", "ctx": {"error": far}})
    'too far'
    >>> in_english({"type": "literal_error", "msg": "Input should be <Kind.WORKS: 'works'>"})
    "Input should be 'works'"
    """
    if str(fault["type"]) == "string_pattern_mismatch":
        return PATTERNS.get(fault.get("ctx", {}).get("pattern", ""), _ANY_FORM).en
    # The library puts the name of the error before its words.
    own = fault.get("ctx", {}).get("error") if fault["type"] in _RAISED else None
    return _MEMBER.sub(r"\1", str(fault["msg"] if own is None else own))
