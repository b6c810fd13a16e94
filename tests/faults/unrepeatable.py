"""The product with its idempotency taken out: a repeated call is simply done again."""

from collections.abc import Callable

from app.cli import main
from app.database.session import Session, transaction, with_retries
from app.routers import dependencies
from app.security.idempotency import Answer, Attempt


def run_again(session: Session, _attempt: Attempt, work: Callable[[], Answer]) -> Answer:
    def once() -> Answer:
        with transaction(session):
            return work()

    return with_retries(once)


if __name__ == "__main__":
    vars(dependencies)["run_once"] = run_again
    main()
