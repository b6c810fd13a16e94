"""Background jobs in PostgreSQL. Knows how to queue and run them, and nothing of what they do."""

import procrastinate

#: The queue keeps its tables in a schema of its own, apart from the product's.
SCHEMA = "jobs"


def make_queue(url: str) -> procrastinate.App:
    """The job queue of a database; open it before use.

    ``url`` is a SQLAlchemy or libpq URL of the database.
    """
    return procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=url.replace("postgresql+psycopg://", "postgresql://", 1),
            kwargs={"options": f"-c search_path={SCHEMA}", "application_name": "space-relay-jobs"},
        )
    )
