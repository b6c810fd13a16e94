"""Chinese words for what a request's form gets wrong; the English ones are the library's."""

from collections.abc import Mapping
from typing import Any

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
    "string_pattern_mismatch": "格式不符，应匹配 {pattern}",
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
    "enum": "应为下列之一：{expected}",
    "literal_error": "应为下列之一：{expected}",
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


def in_chinese(fault: Mapping[str, Any]) -> str:
    """The fault in Chinese.

    >>> in_chinese({"type": "greater_than", "ctx": {"gt": 0}})
    '应大于 0'
    """
    words = _WORDS.get(str(fault["type"]), _OTHERWISE)
    try:
        return words.format(**fault.get("ctx", {}))
    except KeyError:
        return _OTHERWISE
