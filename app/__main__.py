"""``python -m app`` is ``space-relay``."""

import gc

# Before anything else is loaded: hardly anything of it ever becomes garbage, and to look for some
# as often as Python would takes a tenth of every start.
gc.set_threshold(50_000, 20, 20)

from app.cli import main  # noqa: E402 - as said above

if __name__ == "__main__":
    main()
