"""Deliveries: at least once with one id, on a schedule, signed, fair, and given up in the end."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from app.database.session import session_factory
from app.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.security.sealing import Sealer
from app.settings import Settings
from app.webhooks.delivery import LEASE, take
from app.webhooks.events import EventType
from app.webhooks.outbox import announce, announce_to
from app.webhooks.schedule import GIVEN_UP_AFTER, JITTER, LASTS, RETRIES
from app.webhooks.sending import PLACES, PLACES_OF_FAILING, Sender, sending
from app.webhooks.signing import new_secret, purpose
from app.webhooks.transport import Network
from tests.factories import make_company
from tests.webhooks.receivers import Behaviour, Receiver, answer, receiving

_KEY = {
    "words_zh": "密钥将于一周后到期",
    "words_en": "the key expires in a week",
    "href": "/api/v1/keys",
    "key_id": "abc",
    "expires_at": datetime(2026, 12, 1, tzinfo=UTC),
}


class _Clock:
    """Stands still until it is put forward; begins where the database's clock will not come to.

    A minute, because what is announced is due by the database's clock, and a busy machine takes
    seconds to come to it; a receiver believes a time that is wrong by five.
    """

    def __init__(self) -> None:
        self.at = datetime.now(UTC) + timedelta(minutes=1)

    def now(self) -> datetime:
        return self.at

    def pass_(self, by: timedelta) -> None:
        self.at += by


class World:
    """A firm, its endpoints, a sender with a clock of its own, and a receiver."""

    def __init__(self, engine: Engine, home: Path, stack: ExitStack) -> None:
        self.engine, self.stack, self.clock = engine, stack, _Clock()
        self.sealer = Sealer.of(Settings(home=home))
        with Session(engine) as session:
            self.company_id = make_company(session).id
            session.commit()

    def sender(self, **values: Any) -> Sender:
        usual: dict[str, Any] = {
            "allow_loopback": True,
            "sealer": self.sealer,
            "clock": self.clock,
            "luck": lambda: 0.5,
            "network": Network(deadline_seconds=0.5),
        }
        return Sender(session_factory(self.engine), **(usual | values))

    def receiver(self, behave: Behaviour) -> Receiver:
        return self.stack.enter_context(receiving(behave))

    def endpoint(self, url: str) -> tuple[UUID, str]:
        id_, secret = uuid4(), new_secret()
        with Session(self.engine) as session:
            session.add(
                WebhookEndpoint(
                    id=id_,
                    company_id=self.company_id,
                    url=url,
                    events=[EventType.KEY_EXPIRING.value],
                    secret_sealed=self.sealer.seal(purpose(id_), secret.encode()),
                    created_at=self.clock.now(),
                    created_by="tests",
                )
            )
            session.commit()
        return id_, secret

    def announce(self, times: int = 1) -> None:
        with Session(self.engine) as session:
            for _ in range(times):
                announce(session, self.company_id, EventType.KEY_EXPIRING, _KEY)
            session.commit()

    def delivery(self) -> WebhookDelivery:
        with Session(self.engine) as session:
            return session.scalars(select(WebhookDelivery)).one()

    def the_endpoint(self) -> WebhookEndpoint:
        with Session(self.engine) as session:
            return session.scalars(select(WebhookEndpoint)).one()

    def outcomes(self) -> list[str]:
        with Session(self.engine) as session:
            return list(session.scalars(select(WebhookAttempt.outcome).order_by(WebhookAttempt.id)))


@pytest.fixture
def world(own_engine: Engine, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(own_engine, tmp_path, stack)


def test_an_event_arrives_signed_and_verified(world: World) -> None:
    receiver = world.receiver(answer(204))
    id_, secret = world.endpoint(receiver.url)
    world.announce()

    assert world.sender().send_due() == 1

    (got,) = receiver.got
    event = got.verified(secret)
    assert event["type"] == "key.expiring"
    assert event["data"]["words_zh"] == "密钥将于一周后到期"
    assert got.headers["webhook-id"] == str(world.delivery().event_id)
    assert (world.delivery().state, world.outcomes()) == ("delivered", ["delivered"])
    assert world.the_endpoint().verified_at == world.clock.now()
    assert world.sender().send_due() == 0
    assert id_ == world.the_endpoint().id


def test_both_secrets_of_a_rotation_sign_until_the_old_one_ends(world: World) -> None:
    receiver = world.receiver(answer(204))
    id_, old = world.endpoint(receiver.url)
    new = new_secret()
    with Session(world.engine) as session:
        row = session.get_one(WebhookEndpoint, id_)
        row.previous_sealed = row.secret_sealed
        row.previous_until = world.clock.now() + timedelta(hours=1)
        row.secret_sealed = world.sealer.seal(purpose(id_), new.encode())
        session.commit()

    world.announce()
    world.sender().send_due()
    world.clock.pass_(timedelta(minutes=61))
    world.announce()
    world.sender().send_due()

    during, after = receiver.got
    assert during.verified(old) == during.verified(new)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1


def test_who_dies_between_sending_and_writing_leaves_it_to_be_sent_again(world: World) -> None:
    receiver = world.receiver(answer(204))
    _, secret = world.endpoint(receiver.url)
    world.announce()
    dying = world.sender()
    with Session(world.engine) as session:
        (taken,) = take(session, world.clock.now(), 1, failing=False)
        session.commit()
    dying._send(taken, world.clock.now())  # and nothing is written down

    assert world.sender().send_due() == 0  # it may still be under way
    world.clock.pass_(LEASE)
    assert world.sender().send_due() == 1

    assert len(receiver.got) == 2
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert receiver.got[0].body == receiver.got[1].body
    assert receiver.got[0].verified(secret)["type"] == "key.expiring"
    assert world.delivery().state == "delivered"


def test_who_comes_late_does_not_undo_what_another_wrote(world: World) -> None:
    receiver = world.receiver(answer(204))
    world.endpoint(receiver.url)
    world.announce()
    with Session(world.engine) as session:
        (late,) = take(session, world.clock.now(), 1, failing=False)
        session.commit()
    world.clock.pass_(LEASE)
    world.sender().send_due()
    receiver.behave = answer(500)

    world.sender().deliver(late)

    assert (world.delivery().state, world.delivery().tries) == ("delivered", 1)
    assert world.outcomes() == ["delivered", "refused"]


def test_a_failure_is_tried_again_on_the_declared_schedule_and_then_no_more(world: World) -> None:
    receiver = world.receiver(answer(503, b"later"))
    world.endpoint(receiver.url)
    world.announce()
    began = world.clock.now()

    world.sender().send_due()
    for wait in RETRIES[:-1]:
        world.clock.pass_(wait - timedelta(seconds=1))
        assert world.sender().send_due() == 0, wait
        world.clock.pass_(timedelta(seconds=1))
        assert world.sender().send_due() == 1, wait

    assert list(RETRIES) == sorted(RETRIES)
    assert (world.delivery().state, world.delivery().tries) == ("pending", len(RETRIES))
    assert world.the_endpoint().failing_since == began
    world.clock.pass_(RETRIES[-1])
    assert world.sender().send_due() == 1

    # Three days of nothing but failures: the last try is also the endpoint's.
    assert LASTS >= GIVEN_UP_AFTER
    endpoint = world.the_endpoint()
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "failing")
    assert world.delivery().state == "failed"
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    with Session(world.engine) as session:
        actions = session.scalars(text("SELECT action FROM audit_entries")).all()
        assert actions == ["webhook.disabled"]
        assert session.scalars(select(WebhookAttempt.answer)).first() == "later"
    world.announce()
    assert world.sender().send_due() == 0


def test_jitter_keeps_to_its_share(world: World) -> None:
    world.endpoint(world.receiver(answer(500)).url)
    world.announce()
    luck = random.Random(7).random  # noqa: S311

    world.sender(luck=luck).send_due()

    wait = world.delivery().due_at - world.clock.now()
    assert RETRIES[0] * (1 - JITTER) <= wait <= RETRIES[0] * (1 + JITTER)
    assert wait != RETRIES[0]


def test_one_delivery_that_arrives_ends_the_days_of_failure(world: World) -> None:
    receiver = world.receiver(answer(500))
    world.endpoint(receiver.url)
    world.announce()
    world.sender().send_due()
    receiver.behave = answer(200)
    world.clock.pass_(RETRIES[0])
    world.sender().send_due()

    receiver.behave = answer(500)
    world.clock.pass_(GIVEN_UP_AFTER * 2)
    world.announce()
    world.sender().send_due()

    endpoint = world.the_endpoint()
    assert endpoint.enabled
    assert endpoint.failing_since == world.clock.now()


def test_who_answers_gone_is_sent_nothing_more_at_once(world: World) -> None:
    receiver = world.receiver(answer(410))
    world.endpoint(receiver.url)
    world.announce(3)

    assert world.sender().send_due() == 1

    assert world.the_endpoint().disabled_reason == "gone"
    with Session(world.engine) as session:
        assert set(session.scalars(select(WebhookDelivery.state))) == {"failed"}


def test_a_test_is_tried_once_and_starts_no_days_of_failure(world: World) -> None:
    id_, _ = world.endpoint(world.receiver(answer(500)).url)
    with Session(world.engine) as session:
        endpoint = session.get_one(WebhookEndpoint, id_)
        announce_to(
            session,
            endpoint,
            EventType.PING,
            {"words_zh": "测试", "words_en": "a test", "href": "/api/v1/", "endpoint_id": id_},
        )
        session.commit()

    world.sender().send_due()

    assert world.delivery().state == "failed"
    assert world.the_endpoint().failing_since is None


def test_where_this_machine_is_not_allowed_nothing_connects(world: World) -> None:
    receiver = world.receiver(answer(200))
    world.endpoint(receiver.url)
    world.announce()

    world.sender(allow_loopback=False).send_due()

    assert receiver.got == []
    assert world.outcomes() == ["address_refused"]


def test_what_was_registered_before_the_names_were_listed_is_sent_nothing(world: World) -> None:
    world.endpoint("https://hooks.example.org/")
    world.announce()

    world.sender(hosts=["example.com"]).send_due()

    assert world.outcomes() == ["address_refused"]


def test_senders_side_by_side_send_each_event_once_and_one_at_a_time(world: World) -> None:
    under_way, most = Counter[str](), Counter[str]()
    lock = threading.Lock()

    def slowly(handler: Any) -> None:
        with lock:
            under_way[handler.path] += 1
            most[handler.path] = max(most[handler.path], under_way[handler.path])
        time.sleep(0.01)
        with lock:
            under_way[handler.path] -= 1
        answer(204)(handler)

    receiver = world.receiver(slowly)
    for number in range(4):
        world.endpoint(f"{receiver.url}/{number}")
    world.announce(12)

    with sending(world.sender()), sending(world.sender()), sending(world.sender()):
        _until(lambda: len(receiver.got) >= 48)
        time.sleep(0.1)

    seen = Counter((got.path, got.headers["webhook-id"]) for got in receiver.got)
    assert (len(seen), set(seen.values())) == (48, {1})
    assert set(most.values()) == {1}


@pytest.mark.parametrize(
    ("places_of_failing", "prompt"), [(PLACES_OF_FAILING, True), (PLACES, False)]
)
def test_endpoints_that_hang_do_not_keep_others_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch, places_of_failing: int, *, prompt: bool
) -> None:
    """With as many places for them as for others, the control arm, they do."""
    monkeypatch.setattr("app.webhooks.sending.PLACES_OF_FAILING", places_of_failing)
    let_go = threading.Event()

    def hang(handler: Any) -> None:
        let_go.wait(60)
        answer(204)(handler)

    quick, stuck = world.receiver(answer(204)), world.receiver(hang)
    for number in range(PLACES):
        world.endpoint(f"{stuck.url}/{number}")
    world.announce()
    with Session(world.engine) as session:
        session.execute(text("UPDATE webhook_endpoints SET failing_since = now()"))
        session.commit()
    world.endpoint(quick.url)
    sender = world.sender(clock=_Running(world.clock), network=Network(deadline_seconds=60))

    with sending(sender):
        _until(lambda: len(stuck.got) == places_of_failing)
        world.announce()
        if prompt:
            _until(lambda: bool(quick.got))
        else:
            time.sleep(0.5)
            assert not quick.got
        let_go.set()
        _until(lambda: bool(quick.got))


class _Running:
    """Goes on by itself, from where the world's clock stood."""

    def __init__(self, clock: _Clock) -> None:
        self._ahead = clock.now() - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def test_no_transaction_is_open_while_the_receiver_thinks(world: World) -> None:
    open_ones: list[int] = []

    def look(handler: Any) -> None:
        with Session(world.engine) as session:
            open_ones.append(session.execute(text(_OPEN)).scalar_one())
        answer(204)(handler)

    world.endpoint(world.receiver(look).url)
    world.announce(2)

    with Session(world.engine) as session:
        (first,) = take(session, world.clock.now(), 1, failing=False)
        session.commit()
        world.sender().deliver(first)
        # The control arm: who takes it and sends it in one transaction.
        (second,) = take(session, world.clock.now(), 1, failing=False)
        world.sender()._send(second, world.clock.now())

    assert open_ones == [0, 1]


_OPEN = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND xact_start IS NOT NULL"""


def test_without_a_lease_two_would_send_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.endpoint("https://hooks.example.com/")
    world.announce()
    taken = []
    for lease in (timedelta(0), LEASE, LEASE):
        monkeypatch.setattr("app.webhooks.delivery.LEASE", lease)
        with Session(world.engine) as session:
            taken.append([one.id for one in take(session, world.clock.now(), 1, failing=False)])
            session.commit()

    first, second, third = taken
    assert first == second
    assert third == []


def test_a_secret_that_does_not_open_sends_nothing(world: World, tmp_path: Path) -> None:
    receiver = world.receiver(answer(200))
    world.endpoint(receiver.url)
    world.announce()

    world.sender(sealer=Sealer.of(Settings(home=tmp_path / "another"))).send_due()

    assert receiver.got == []
    assert world.outcomes() == ["not_signed"]
    assert world.the_endpoint().failing_since is None


def test_events_that_were_told_once_are_told_to_nobody_by_a_new_endpoint(world: World) -> None:
    world.announce()
    world.endpoint(world.receiver(answer(200)).url)

    assert world.sender().send_due() == 0
    with Session(world.engine) as session:
        assert len(session.scalars(select(WebhookEvent)).all()) == 1


def _until(done: Any, seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "too slow"
        time.sleep(0.01)
