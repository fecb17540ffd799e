"""Is what is importable what is listed, and has every method that waits its twin?"""

import inspect
from types import ModuleType

import pytest

import gossamer.handles
from gossamer import handles


def test_all_is_what_is_importable() -> None:
    public = [
        name
        for name, member in vars(gossamer.handles).items()
        if not name.startswith("_") and not isinstance(member, ModuleType)
    ]
    assert sorted(public) == sorted(vars(handles)["__all__"])


WAITLESS = {name for name in vars(handles.Handles) if not name.startswith("_")} | {"transaction", "fresh"}
WAITLESS |= {"watch", "awatch", "subscription"}  # what they give is iterated, with ``for`` or ``async for``


@pytest.mark.parametrize(
    "kind",
    [
        handles.Register,
        handles.MVRegister,
        handles.Flag,
        handles.Counter,
        handles.BoundedCounter,
        handles.MaxRegister,
        handles.MinRegister,
        handles.Set,
        handles.Map,
        handles.Keyspace,
        handles.Transaction,
    ],
)
def test_every_method_that_waits_has_a_twin(kind: type) -> None:
    methods = {
        name
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and not inspect.iscoroutinefunction(member)
    }
    is_place = issubclass(kind, handles.Handles)
    plain = methods - WAITLESS if is_place else methods
    missing = {name for name in plain if not inspect.iscoroutinefunction(getattr(kind, f"a{name}", None))}
    # An operator of Python's sets, not one of ours; and what is kept in memory waits for nothing.
    assert missing <= {"isdisjoint", "resolver"}
