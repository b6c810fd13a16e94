"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import app


def test_every_example_in_a_docstring_is_true() -> None:
    attempted = 0
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name.endswith(("__main__", "launcher")):
            continue
        found = doctest.testmod(importlib.import_module(module.name))
        assert found.failed == 0, module.name
        attempted += found.attempted
    assert attempted > 10
