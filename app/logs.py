"""Structured logs: one event a line, with the request's id."""

import logging
import sys
from typing import TextIO

import structlog


def configure(level: str = "INFO", *, as_json: bool = False) -> None:
    """Send this process's logs to standard error, coloured text or JSON lines."""
    structlog.configure(
        processors=processors(as_json=as_json),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What the server and the queue's library say takes the same form, and from warnings on.
    logging.basicConfig(handlers=[libraries(sys.stderr, as_json=as_json)], force=True)


def libraries(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Writes what libraries log as lines like our own, with the name of who says it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *processors(as_json=as_json),
            ]
        )
    )
    return handler


def processors(*, as_json: bool) -> list[structlog.typing.Processor]:
    """What makes a line of an event. A failure's trace has no values of variables in it."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
