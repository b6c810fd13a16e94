"""Leases through changes of their units' size, and random terms through the whole service.

Terms drawn at random go in as JSON, are kept, are read back and make payments: each payment has to
be that of an oracle which counts the rent day by day, and what was said has to come back unchanged.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.period import Period
from app.ledger.rent.terms import (
    AreaBasis,
    BilledQuantity,
    BreakParty,
    Deposit,
    EarlyBreak,
    RentTerms,
)
from app.ledger.tenancy import cash, days
from app.ledger.tenancy.schema import TermsStated
from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import Part, Split, split_unit
from app.models.claim import Claim
from app.models.space import Unit
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make
from tests.ledger.racing import (
    RACERS,
    Call,
    deadlocks,
    overbooked_days,
    race,
    rounds,
    serving,
)
from tests.ledger.rent.cases import DAY, Case, cases, oracle, plain

LEASES = "/api/v1/leases"
#: A lease that is over: only what has happened is handed over and back.
PAST = {"from": "2019-01-01", "until": "2022-01-01"}
LONG_USABLE: Range[date] = Range(date(2015, 1, 1), None)
PROPERTY = settings(
    max_examples=12,
    deadline=None,
    # Each draw undoes its own lease.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
LEASABLE, INTERNAL, PLACES = Decimal("2000.00"), Decimal("1637.21"), Decimal(400)


@dataclass
class Office:
    """A manager at the API, a room that is let in parts, and a room of places."""

    client: TestClient
    session: Session
    hall: Unit
    room: Unit
    headers: dict[str, str]
    company_id: UUID

    def post(self, path: str, status: int, **body: Any) -> Any:
        answer = self.client.post(path, content=json.dumps(body), headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def office(client: TestClient, session: Session) -> Office:
    floor = make.make_floor(session)
    parts: dict[str, Any] = {"divisible": True, "min_part": Decimal("0.01"), "floor": floor}
    hall = make.make_unit(session, slot=0, slots=2, internal_area_m2=INTERNAL, **parts)
    room = make.make_unit(
        session, slot=1, slots=2, capacity_measure="place", capacity=PLACES, **parts
    )
    office = Office(
        client,
        session,
        hall,
        room,
        make.staff_headers(session, Role.MANAGER) | {"Content-Type": "application/json"},
        make.make_company(session).id,
    )
    session.commit()
    return office


@dataclass(frozen=True)
class Deal:
    """A lease to sign: a case of rent, and the quantity that is let."""

    case: Case
    quantity: Decimal

    @property
    def billed(self) -> Decimal:
        """What the rent is counted on, worked out anew from the quantity."""
        if self.case.terms.basis is not AreaBasis.INTERNAL:
            return self.quantity
        share = INTERNAL * self.quantity / LEASABLE
        return share.quantize(Decimal("0.01"), ROUND_HALF_UP)


@st.composite
def deals(draw: st.DrawFn) -> Deal:
    case = draw(cases())
    terms = case.terms
    lasts = (case.end - case.start).days
    marks = draw(st.lists(st.integers(1, lasts - 1), max_size=3)) if lasts > 1 else []
    breaks = tuple(
        EarlyBreak(
            case.start + DAY * after,
            draw(st.integers(0, 400)),
            draw(st.sampled_from(BreakParty)),
            draw(plain(0, 12, 2)),
        )
        for after in marks
    )
    deposit = draw(
        st.none()
        | plain(0, 9, 2).map(lambda months: Deposit(months=months))
        | plain(0, 10**9, 2).map(lambda amount: Deposit(amount_cny=amount))
    )
    # Places are let whole, square metres to the hundredth.
    by_place = terms.basis is AreaBasis.PLACES
    most, decimals = (int(PLACES), 0) if by_place else (int(LEASABLE), 2)
    quantity = draw(plain(0, most, decimals).filter(lambda one: one > 0))
    return Deal(case.with_terms(breaks=breaks, deposit=deposit), quantity)


def as_json(terms: RentTerms) -> dict[str, Any]:
    """Terms as a caller writes them."""
    deposit = terms.deposit
    return {
        "basis": terms.basis.value,
        "day_count": terms.day_count.value,
        "payment_months": terms.payment_months,
        "due_days_before": terms.due_days_before,
        "steps": [{"from": str(one.start), "rate": str(one.rate)} for one in terms.steps],
        "rent_free": [{"from": str(one.start), "until": str(one.until)} for one in terms.rent_free],
        "breaks": [
            {
                "on": str(one.on),
                "by": one.by.value,
                "notice_days": one.notice_days,
                "penalty_months": str(one.penalty_months),
            }
            for one in terms.breaks
        ],
        "deposit": None
        if deposit is None
        else {
            name: None if value is None else str(value)
            for name, value in (("amount_cny", deposit.amount_cny), ("months", deposit.months))
        },
    }


def numbers(kept: Any) -> Iterator[float]:
    """The binary fractions in a JSON value."""
    if isinstance(kept, float):
        yield kept
    elif isinstance(kept, dict):
        for value in kept.values():
            yield from numbers(value)
    elif isinstance(kept, list):
        for value in kept:
            yield from numbers(value)


@dataclass(frozen=True)
class Told:
    """What the service says of a deal's money."""

    terms: RentTerms
    kept: Any
    payments: list[tuple[date, Decimal]]
    total: Decimal


def told(office: Office, deal: Deal) -> Told:
    """Sign a deal, ask for its money, and undo it."""
    case = deal.case
    unit = office.room if case.terms.basis is AreaBasis.PLACES else office.hall
    lease = office.post(
        LEASES,
        201,
        units=[{"unit_id": str(unit.id), "quantity": str(deal.quantity)}],
        company_id=str(office.company_id),
        terms=as_json(case.terms),
        **{"from": str(case.start), "until": str(case.end)},
    )
    path = f"{LEASES}/{lease['id']}"
    shown = office.get(f"{path}/terms")["terms"]
    money = office.get(f"{path}/schedule")
    kept = office.session.execute(
        text("SELECT terms FROM lease_terms WHERE commitment_id = :id"), {"id": lease["id"]}
    ).scalar_one()
    office.post(f"{path}/terminate", 200, reason="协商一致", on=str(case.start))
    return Told(
        terms=TermsStated.model_validate(shown).rent_terms(Period(case.start, case.end)),
        kept=kept,
        payments=[
            (date.fromisoformat(one["from"]), Decimal(one["amount_cny"]))
            for one in money["instalments"]
        ],
        total=Decimal(money["total_cny"]),
    )


def comes_back(deal: Deal, said: Told) -> bool:
    return said.terms == deal.case.terms and not list(numbers(said.kept))


def adds_up(_deal: Deal, said: Told) -> bool:
    return sum(amount for _, amount in said.payments) == said.total


def agrees_with_oracle(deal: Deal, said: Told) -> bool:
    case = deal.case
    billed = (BilledQuantity(case.start, case.end, deal.billed),)
    return said.payments == oracle(replace(case, billed=billed))


@PROPERTY
@given(deal=deals())
def test_what_was_said_comes_back_and_every_payment_is_exact(office: Office, deal: Deal) -> None:
    said = told(office, deal)

    assert comes_back(deal, said)
    assert adds_up(deal, said)
    assert agrees_with_oracle(deal, said)


def by_hand() -> Deal:
    """Rates of four decimals, on a part of an area, counted month by month."""
    body = {
        "basis": "internal",
        "steps": [{"from": "2027-01-31", "rate": "3.1416"}],
        "rent_free": [{"from": "2027-03-01", "until": "2027-04-16"}],
        "deposit": {"months": "2.5"},
    }
    start, end = date(2027, 1, 31), date(2028, 3, 7)
    terms = TermsStated.model_validate(body).rent_terms(Period(start, end))
    return Deal(Case(terms, start, end, ()), Decimal("777.77"))


def rates_to_the_fen(kept: dict[str, Any]) -> dict[str, Any]:
    steps = [{**one, "rate": f"{Decimal(one['rate']):.2f}"} for one in kept["steps"]]
    return {**kept, "steps": steps}


def rates_as_numbers(kept: dict[str, Any]) -> dict[str, Any]:
    return {**kept, "steps": [{**one, "rate": float(one["rate"])} for one in kept["steps"]]}


def no_free_days(kept: dict[str, Any]) -> dict[str, Any]:
    return {**kept, "rent_free": []}


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (comes_back, rates_to_the_fen),
        (comes_back, rates_as_numbers),
        (comes_back, no_free_days),
        (agrees_with_oracle, rates_to_the_fen),
        (agrees_with_oracle, no_free_days),
    ],
)
def test_terms_that_are_kept_wrongly_are_found_out(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    law: Callable[[Deal, Told], bool],
    wrong: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    deal, right = by_hand(), TermsStated.model_dump
    assert law(deal, told(office, deal))

    monkeypatch.setattr(
        TermsStated, "model_dump", lambda *args, **more: wrong(right(*args, **more))
    )

    assert not law(deal, told(office, deal))


def test_areas_that_are_counted_wrongly_are_found_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = by_hand()
    assert agrees_with_oracle(deal, told(office, deal))

    monkeypatch.setattr(cash, "_FEN", Decimal("0.1"))

    assert not agrees_with_oracle(deal, told(office, deal))


def rows(session: Session, lease: dict[str, Any]) -> list[tuple[str, str, str, int]]:
    """What is believed of a lease now."""
    found = session.execute(
        select(Claim.kind, Claim.period, Claim.quantity)
        .where(Claim.commitment_id == UUID(lease["id"]), text("upper_inf(claims.live)"))
        .order_by(text("lower(claims.period)"))
    )
    return [(kind, str(when.lower), str(when.upper), int(size)) for kind, when, size in found]


def remeasured(office: Office, on: date, area: str, **more: Any) -> Unit:
    """A unit of 2,000 m² that is of another size from a day on."""
    unit = make.make_unit(office.session, **more)
    size = Decimal(area)
    change = {} if unit.min_part is None else {"min_part": Decimal(700)}
    make.make_change(
        office.session,
        unit,
        on,
        capacity=size,
        leasable_area_m2=size,
        internal_area_m2=size * Decimal("0.82"),
        **change,
    )
    office.session.commit()
    return unit


def sign(office: Office, unit: Unit, **more: Any) -> Any:
    units = [{"unit_id": str(unit.id)} | more.pop("part", {})]
    return office.post(
        LEASES,
        201,
        units=units,
        company_id=str(office.company_id),
        **{"from": "2027-01-01", "until": "2030-01-01", **more},
    )


def test_a_lease_goes_on_over_a_change_of_size_in_a_row_for_each_side(office: Office) -> None:
    unit = remeasured(office, date(2023, 1, 1), "1800", usable=LONG_USABLE)
    terms = {"first_rate": "3", "day_count": "actual", "payment_months": 12}
    lease = sign(office, unit, **PAST, clearing_days=31, terms=terms)
    path = f"{LEASES}/{lease['id']}"

    office.post(f"{path}/extend", 200, until="2024-01-01")

    assert rows(office.session, lease) == [
        ("lease", "2019-01-01", "2023-01-01", 2000),
        ("lease", "2023-01-01", "2024-01-01", 1800),
        ("clearing", "2024-01-01", "2024-02-01", 1800),
    ]
    days_before = (date(2023, 1, 1) - date(2019, 1, 1)).days
    total = 3 * (2000 * days_before + 1800 * 365)
    assert office.get(f"{path}/schedule")["total_cny"] == f"{total}.00"

    office.post(f"{path}/terminate", 200, reason="协商一致", on="2022-12-15")

    assert rows(office.session, lease) == [
        ("lease", "2019-01-01", "2022-12-15", 2000),
        ("clearing", "2022-12-15", "2023-01-01", 2000),
        ("clearing", "2023-01-01", "2023-01-15", 1800),
    ]
    office.post(f"{path}/hand-back", 200, on="2023-01-05")
    assert rows(office.session, lease) == [
        ("lease", "2019-01-01", "2023-01-01", 2000),
        ("lease", "2023-01-01", "2023-01-05", 1800),
        ("clearing", "2023-01-05", "2023-02-05", 1800),
    ]


def test_a_lease_that_ends_as_the_size_changes_goes_on_in_a_new_row(office: Office) -> None:
    unit = remeasured(office, date(2030, 1, 1), "2200")
    lease = sign(office, unit)

    office.post(f"{LEASES}/{lease['id']}/extend", 200, until="2031-01-01")

    assert rows(office.session, lease) == [
        ("lease", "2027-01-01", "2030-01-01", 2000),
        ("lease", "2030-01-01", "2031-01-01", 2200),
    ]


def test_a_part_does_not_go_on_where_such_a_part_is_not_let(office: Office) -> None:
    unit = remeasured(
        office, date(2031, 1, 1), "1800", divisible=True, min_part=500, remainder_rule="any"
    )
    lease = sign(office, unit, part={"quantity": 600})
    path = f"{LEASES}/{lease['id']}"

    refused = office.post(f"{path}/extend", 422, until="2031-01-02")
    office.post(f"{path}/extend", 200, until="2031-01-01")

    assert refused["type"] == "/problems/quantity-not-allowed"
    assert [fault["pointer"] for fault in refused["errors"]] == ["/until"]
    assert rows(office.session, lease) == [("lease", "2027-01-01", "2031-01-01", 600)]


@dataclass(frozen=True)
class Contest:
    """A lease that may be prolonged, and the days after it that others may lease."""

    extend: Call
    others: list[Call]


def contest(engine: Engine) -> Contest:
    with Session(engine) as session:
        unit = make.make_unit(session)
        manager = make.staff_headers(session, Role.MANAGER)
        companies = [make.make_company(session).id for _ in range(RACERS // 2)]
        lease = make.make_claim(session, unit, date(2027, 1, 1), date(2030, 1, 1))
        session.commit()
        path = f"{LEASES}/{lease.commitment_id}"
        after = {"from": "2030-06-01", "until": "2031-01-01"}
        return Contest(
            Call(f"{path}/extend", {"until": "2030-12-01"}, manager),
            [
                Call(
                    LEASES,
                    {"units": [{"unit_id": str(unit.id)}], **after, "company_id": str(company)},
                    manager,
                )
                for company in companies
            ],
        )


@rounds(3, long=60)
def test_a_longer_lease_and_the_next_lease_race_and_one_of_them_wins(
    own_engine: Engine, rounds: int
) -> None:
    with serving(own_engine) as port:
        for _ in range(rounds):
            made = contest(own_engine)
            replies = race(port, [one for other in made.others for one in (made.extend, other)])
            longer, signed = replies[::2], replies[1::2]
            won = [reply.status for reply in replies if reply.status in {200, 201}]
            assert len(won) == 1
            # Who comes to prolong it once more finds it as long as that already.
            lost = {reply.status for reply in longer if reply.status != 200}
            assert lost == ({422} if won == [200] else {409})
            assert {reply.status for reply in signed if reply.status != 201} == {409}

    assert overbooked_days(own_engine) == 0
    assert deadlocks(own_engine) == 0


def test_without_the_check_the_database_itself_refuses_the_longer_lease(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the check: it only says more of what the database holds to anyway."""
    made = contest(own_engine)
    monkeypatch.setattr(days, "require_free", lambda *_: None)

    with serving(own_engine) as port:
        (signed,) = race(port, made.others[:1])
        (refused,) = race(port, [made.extend])

    assert (signed.status, refused.status) == (201, 409)
    assert refused.json()["type"] == "/problems/unit-occupied"
    assert "conflicts" not in refused.json()
    assert overbooked_days(own_engine) == 0


def test_a_lease_outlives_the_split_and_the_merger_of_its_units(office: Office) -> None:
    """Split on the first day of 2020, merged again on that of 2021; the tenant has it all along."""
    unit = make.make_unit(office.session, usable=LONG_USABLE)
    office.session.commit()
    terms = {"basis": "internal", "first_rate": "3", "day_count": "actual", "payment_months": 12}
    lease = sign(office, unit, **PAST, clearing_days=30, terms=terms)
    path = f"{LEASES}/{lease['id']}"
    admin = Actor(kind=ActorKind.STAFF, label="tests", role=Role.ADMIN)
    halves = [Part(f"{unit.code}-1"), Part(f"{unit.code}-2")]
    split_unit(office.session, admin, unit.code, Split(date(2020, 1, 1), halves, shares=[1, 3]))
    codes = [part.code for part in halves]
    merger = Merger(date(2021, 1, 1), codes, f"{unit.code}-3")
    merge_units(office.session, admin, merger)
    office.session.commit()

    longer = office.post(f"{path}/extend", 200, until="2024-01-01")

    codes = [one["unit_code"].removeprefix(unit.code) for one in longer["claims"]]
    assert codes == ["", "-1", "-2", "-3", "-3"]
    assert [one["until"] for one in longer["claims"]][-2:] == ["2024-01-01", "2024-01-31"]
    money = office.get(f"{path}/schedule")
    assert money["total_cny"] == f"{3 * 1640 * (date(2024, 1, 1) - date(2019, 1, 1)).days}.00"
    (row,) = office.get(LEASES)["items"]
    assert (row["until"], len(row["lines"])) == ("2024-01-01", 4)

    office.post(f"{path}/terminate", 200, reason="协商一致", on="2020-06-01")
    back = office.post(f"{path}/hand-back", 200, on="2020-06-10")
    clean = office.post(f"{path}/cleared", 200, on="2020-06-20")

    assert back["next_start"] == "2020-07-10"
    shown = [(one["kind"], one["from"], one["until"]) for one in clean["claims"]]
    assert shown == [
        ("lease", "2019-01-01", "2020-01-01"),
        *[("lease", "2020-01-01", "2020-06-10")] * 2,
        *[("clearing", "2020-06-10", "2020-06-20")] * 2,
    ]
    assert Decimal(office.get(f"{path}/schedule")["total_cny"]) == 3 * 1640 * (365 + 161)
