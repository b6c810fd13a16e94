"""Background jobs in PostgreSQL. Knows how to queue and run them, and nothing of what they do."""

import procrastinate

#: The queue keeps its tables in a schema of its own, apart from the product's.
SCHEMA = "jobs"


def make_queue(url: str, role: str | None = None) -> procrastinate.App:
    """The job queue of a database; open it before use.

    ``url`` is a SQLAlchemy or libpq URL of the database, ``role`` whom its connections act as;
    None: as whoever logs in.
    """
    options = f"-c search_path={SCHEMA}" + (f" -c role={role}" if role else "")
    return procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=url.replace("postgresql+psycopg://", "postgresql://", 1),
            kwargs={"options": options, "application_name": "space-relay-jobs"},
        )
    )
