"""What is wrong with a filter is said: where, which rule, and the way out, in both languages."""

import json
from typing import Any

import pytest
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    column,
    func,
    literal_column,
    select,
    text,
)

from app.kernel.errors import Kind as ErrorKind
from app.ogc.cql2.compiler import compile_filter
from app.ogc.cql2.values import equals
from app.ogc.crs import CRSES, STORAGE, Crs, local_crs
from app.ogc.errors import BadParameterError
from tests.ogc.cql2.rows import FIELDS, ROWS

GEOMETRY: ColumnElement[Any] = literal_column("r.geom")
FID = column("fid", Integer)
GK_120 = CRSES["http://www.opengis.net/def/crs/EPSG/0/4549"]


def condition(filter_: str | dict[str, Any], *, crs: Crs = STORAGE) -> Any:
    lang = "cql2-text" if isinstance(filter_, str) else "cql2-json"
    said = filter_ if isinstance(filter_, str) else json.dumps(filter_)
    return compile_filter(said, lang, FIELDS, GEOMETRY, crs=crs)


def found(connection: Connection, filter_: str | dict[str, Any], *, crs: Crs = STORAGE) -> set[int]:
    rows = text("cql2_rows r")
    where = condition(filter_, crs=crs)
    asked = select(FID).select_from(rows).where(where)
    return {fid for (fid,) in connection.execute(asked)}


@pytest.mark.parametrize(
    ("filter_", "said", "said_zh"),
    [
        ("loads >= 10", "character 1: there is no property 'loads'; did you mean load", "load"),
        ("净高 >= 6", "did you mean height", "没有属性 '净高'；是否指 height"),
        ("level = 1 AND load >= '10'", "load is a number, and '10' is a text", "数值的写法如 12.5"),
        ("level = 1 AND load >= '10'", "character 20", "第 20 个字符"),
        ("name = 3", "a text is written like 'text'", "文本的写法如 'text'"),
        (
            "start >= '2027-03-01'",
            "a date is written like DATE('2027-03-01')",
            "DATE('2027-03-01')",
        ),
        ("seen > DATE('2027-03-01')", "TIMESTAMP('2027-03-01T00:00:00Z')", "时刻的写法如"),
        ("start = DATE('2027-13-01')", "a date is written year-month-day", "年-月-日"),
        ("seen = TIMESTAMP('2027-03-01T00:00:00')", "with its time zone", "须带时区"),
        (
            "size = 'huge'",
            "size is never 'huge'; it is one of 'small' (Small size)",
            "可用 'small'",
        ),
        ("small = size", "in single quotes: 'small'", "须加单引号：'small'"),
        ("size = '大'", "write 'large' (Large size)", "请写作 'large'（大）"),
        ("size IN ('small', 'huge')", "character 19: size is never 'huge'", "第 19 个字符"),
        ("key = 'x'", "an id is written like", "编号（UUID）的写法如"),
        ("flag = 'true'", "true or false is written like true", "真假值的写法如 true"),
        ("name", "expected a condition, found name", "此处应为条件"),
        ("name = NULL", "write `name IS NULL`", "属性 IS NULL"),
        ("name LIKE other", "a pattern is a text in single quotes", "单引号中的文本"),
        ("name LIKE 'a\\'", "does not end with a single \\", "不得以单个"),
        ("load LIKE '1%'", "LIKE is for texts, and load is a number", "LIKE 只用于文本"),
        ("casei(load) = 'a'", "casei is for texts", "casei 只用于文本"),
        ("name + 1 = 2", "+ is for numbers, and name is a text", "+ 只用于数值"),
        ("load ^ level = 2", "an exponent is a whole number from 0 to 10", "0 至 10 的整数"),
        ("((((load^10)^10)^10)^10) > 1", "more than 1000 digits", "超过 1000 位"),
        ("upper(name) = 'A'", "there is no function 'upper'; use", "没有函数 'upper'"),
        ("s_intersect(geometry, POINT(1 2))", "use s_intersects", "可用 s_intersects"),
        ("a_contains(name, ('a', 'b'))", "no property here is a list", "没有数组属性"),
        ("s_intersects(geom, POINT(1 2))", "did you mean geometry", "是否指 geometry"),
        ("s_intersects(geometry)", "takes 2 arguments, not 1", "应有 2 个参数"),
        ("s_intersects(name, POINT(1 2))", "takes geometry and a geometry", "的参数应为"),
        ("geometry = 1", "geometry is a geometry; write s_intersects", "请写作 s_intersects"),
        ("load = POINT(1 2)", "a geometry stands in a spatial function", "只能用于空间函数"),
        ("load = (1, 2)", "a list stands after IN", "列表只能用在 IN 之后"),
        ("start = INTERVAL('..', '..')", "stands in a temporal function", "只能用于时间函数"),
        ("t_after(name, DATE('2027-03-01'))", "t_after is for dates", "只用于日期与时刻"),
        ("t_after(seen, DATE('2027-03-01'))", "dates go with dates", "统一用"),
        ("t_during(start, INTERVAL('2027-03-02', '2027-03-01'))", "ends on or after", "不得早于"),
        ("t_during(start, INTERVAL(load + 1, '..'))", "expected ',', found +", "应为 ','，却是 +"),
        (
            {"op": "t_during", "args": [{"interval": [{"op": "+", "args": []}, ".."]}, 1]},
            "an interval is between dates",
            "区间的两端",
        ),
        ("s_within(geometry, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", "Self-intersection", "图形无效"),
        (
            "s_within(geometry, POLYGON((0 0, 1 1, 0 0)))",
            "a ring has at least four",
            "环至少含四个点",
        ),
        (
            "s_within(geometry, POLYGON((0 0, 1 1, 2 1, 2 2)))",
            "ends where it began",
            "请在末尾重复首点",
        ),
        ("s_within(geometry, MULTIPOLYGON(((0 0, 1 0, 1 1, 0 1))))", "began", "请在末尾重复首点"),
        ("s_within(geometry, LINESTRING(1 2, 3))", "a position has two numbers", "两个数值"),
        ("s_within(geometry, POINT(31.2 121.6))", "not on Earth", "坐标超出范围"),
        ("s_within(geometry, BBOX(1, 2, 3))", "four or six finite numbers", "4 个或 6 个"),
        ("s_within(geometry, BBOX(1, 3, 2, 2))", "lower corner first", "左下角"),
        (
            "s_within(geometry, GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(1 2, 3 4)))",
            "s_intersects and s_disjoint",
            "只能用于 s_intersects",
        ),
        ("load >= 10 且 level = 1", "expected the end, AND or OR, found 且", "却是 且"),
        ("load ≥ 10", "≥ is written >= here", "≥ 写作 >="),
        ("name = ‘a’", "‘ is written ' here", "‘ 写作 '"),
        ("load != 10", "unequal is <>", "不等于写作 <>"),
        ("name = 'a", "the ' is not closed", "没有闭合"),
        ("1 < load < 3", "compare two things at a time", "每次只能比较两项"),
        ("load NOT 3", "LIKE, BETWEEN or IN after NOT", "NOT 之后应为"),
        ("(load = 1", "expected ')', found the end", "却是 结尾"),
        ("load IN ()", "or (, found )", "却是 )"),
        ("load = 1e31", "at most 30 digits", "各至多 30 位"),
        ("  ", "empty; leave it out", "为空"),
        ("level = 1 AND", "character 14", "第 14 个字符"),
        ({"op": "and", "args": [{"property": "flag"}]}, "2 or more", "至少 2"),
        ({"op": "=", "args": [{"property": "x"}, 1]}, "/args/0: there is no property", "/args/0："),
        ({"op": "=", "args": [{"property": "load"}, None]}, "nothing equals null", "null 不能"),
        ({"op": "in", "args": [{"property": "load"}, 3]}, "a list of at least one", "至少一个值"),
        ({"op": "=", "args": [{"function": "x"}, 1]}, "/args/0: expected a value", "应为值"),
        ({"op": "=", "args": [{"property": "name"}, "\ud800"]}, "lone surrogates", "无法存储"),
        ({"op": "=", "args": [{"property": "name"}, "\0"]}, "without NUL", "无法存储"),
        (
            {"op": "s_within", "args": [{"property": "geometry"}, {"type": []}]},
            "a geometry",
            "类型",
        ),
    ],
)
def test_a_filter_is_refused_with_the_place_the_rule_and_the_way_out(
    filter_: str | dict[str, Any], said: str, said_zh: str
) -> None:
    with pytest.raises(BadParameterError) as refusal:
        condition(filter_)

    (fault,) = refusal.value.faults
    assert (fault.pointer, fault.where, refusal.value.kind) == (
        "filter",
        "query",
        ErrorKind.MALFORMED,
    )
    assert said in fault.detail
    assert said_zh in str(fault.detail_zh)


def test_what_is_no_json_and_what_is_no_language_is_refused() -> None:
    for said in ("name = 'a'", "{", '{"op": NaN}', "[" * 30_000):
        with pytest.raises(BadParameterError, match="filter: "):
            compile_filter(said, "cql2-json", FIELDS, GEOMETRY)
    with pytest.raises(
        BadParameterError, match="filter-lang: one of cql2-text, cql2-json, cql-text"
    ):
        compile_filter("true", "sql", FIELDS, GEOMETRY)


@pytest.mark.parametrize(
    ("field", "raw", "good"),
    [
        ("name", "it's", True),
        ("size", "small", True),
        ("size", "smal", False),
        ("load", "0.5", True),
        ("load", "5e-1", True),
        ("load", "１", False),
        ("load", "1_0", False),
        ("load", "NaN", False),
        ("load", "1e99", False),
        ("level", "2", True),
        ("flag", "true", True),
        ("flag", "yes", False),
        ("start", "2027-03-01", True),
        ("start", "2027-3-1", False),
        ("seen", "2027-03-01T08:00:00+08:00", True),
        ("seen", "2027-03-01", False),
        ("key", "00000000-0000-0000-0000-000000000001", True),
        ("key", "1", False),
        ("name", "\ud800", False),
    ],
)
def test_a_property_may_be_given_by_its_name(
    connection: Connection, field: str, raw: str, *, good: bool
) -> None:
    if not good:
        with pytest.raises(BadParameterError, match=f"^{field}: "):
            equals(FIELDS[field], raw)
        return

    asked = select(FID).select_from(text("cql2_rows r"))
    fids = [fid for (fid,) in connection.execute(asked.where(equals(FIELDS[field], raw)))]

    assert fids
    assert len({ROWS[fid][field] for fid in fids}) == 1


def test_codes_are_inlined_and_nothing_else_is(connection: Connection) -> None:
    """An index on some of the codes serves only a statement that names them."""
    both = condition("size = 'small' AND size IN ('large') AND name = 'small'")

    literals = {"render_postcompile": True}
    sql = str(both.compile(dialect=connection.dialect, compile_kwargs=literals))

    assert sql.count("'small'") == 1
    assert sql.count("'large'") == 1


def test_a_geometry_in_any_system_is_moved_to_where_the_outlines_are(
    connection: Connection,
) -> None:
    # The same box: in degrees, in metres northing first, and in a system of one's own.
    own = local_crs("+proj=tmerc +lon_0=121.5 +x_0=0 +y_0=0 +ellps=GRS80 +units=m", "", "")
    expected = found(connection, "s_intersects(geometry, BBOX(121.2, 31.2, 121.4, 31.4))")
    assert 0 < len(expected) < len(ROWS)

    for crs, box in (
        (CRSES["http://www.opengis.net/def/crs/EPSG/0/4490"], "BBOX(31.2, 121.2, 31.4, 121.4)"),
        (GK_120, "BBOX(3455000, 615000, 3475000, 633000)"),
        (own, "POLYGON((-20000 3455000, -10000 3455000, -10000 3465000, -20000 3455000))"),
    ):
        assert found(connection, f"s_intersects(geometry, {box})", crs=crs) == expected
    with pytest.raises(BadParameterError, match=r"character 24: .*area|not on Earth"):
        condition("s_intersects(geometry, POINT(1e9 1e30))", crs=GK_120)


def test_a_box_may_be_a_point_or_cross_the_antimeridian(connection: Connection) -> None:
    inside = found(connection, "s_intersects(geometry, POINT(121.5 31.5))")
    all_placed = found(connection, "geometry IS NOT NULL")

    assert inside == found(connection, "s_intersects(geometry, BBOX(121.5, 31.5, 121.5, 31.5))")
    assert inside < all_placed
    assert found(connection, "s_intersects(geometry, BBOX(120, 0, -120, 60))") == all_placed
    assert not found(connection, "s_intersects(geometry, BBOX(130, 0, -120, 60))")


def test_case_and_accents_are_folded_and_wildcards_can_be_meant(connection: Connection) -> None:
    names = {row["fid"]: row["name"] for row in ROWS}

    def matched(filter_: str) -> set[str]:
        return {names[fid] for fid in found(connection, filter_)}

    assert matched("name = 'alpha'") == {"alpha"}
    assert matched("casei(name) = casei('ALPHA')") == {"Alpha", "alpha"}
    assert matched("accenti(casei(name)) = accenti(casei('alphè'))") == {"ALPHÉ"}
    assert matched("casei(name) = casei('alphé')") == {"ALPHÉ"}
    assert matched("name LIKE 'b_ta'") == {"beta", "b_ta"}
    assert matched("name LIKE 'b\\_ta'") == {"b_ta"}
    assert matched("name LIKE '净%' OR name = 'it''s'") == {"净高", "it's"}


def test_the_index_on_outlines_serves_filters(connection: Connection) -> None:
    wanted = condition(
        "s_intersects(geometry, POLYGON((3455000 615000, 3475000 615000,"
        " 3475000 633000, 3455000 615000)))",
        crs=GK_120,
    )
    # The control: the same asked of the outlines moved to where the filter is.
    moved = func.ST_Intersects(
        func.ST_Transform(GEOMETRY, 4549), func.ST_MakeEnvelope(0, 0, 1, 1, 4549)
    )

    def plan(where: ColumnElement[bool]) -> str:
        asked = select(FID).select_from(text("cql2_rows r")).where(where)
        sql = asked.compile(connection, compile_kwargs={"render_postcompile": True})
        explained = connection.exec_driver_sql(f"EXPLAIN {sql}", dict(sql.params))
        return "\n".join(explained.scalars())

    with connection.begin_nested() as nested:
        connection.execute(text("CREATE INDEX ON cql2_rows USING gist (geom)"))
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plans = [plan(wanted), plan(moved)]
        nested.rollback()

    assert ["Index" in one for one in plans] == [True, False]
