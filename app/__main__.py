"""``python -m app`` is ``space-relay``."""

from app.cli import main

main()
