"""What a model must meet on a target: one TOML file in profiles/, with a table for each limit.

The tables are those of the modules in `gate/limits/`: each declares its keys, so that a file with an unknown table or
key is refused with the nearest known one, and a new limit is one new module.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import create_model, model_validator

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.gate.limits._base import LIMITS, Limit, Needs
from edgekd.values import DeviceFacts, Reference, Value
from edgekd.values.value import Name, PositiveInt

S = TypeVar("S", bound=Value)
V = TypeVar("V", bound=Value)


class Conditions(Value):
    """What a budget's limits hold under: a measurement made otherwise is refused. What is absent may be anything."""

    target: str | None = None
    """The kind of device."""
    machine: str | None = None
    """One given device, by the hash in a measurement's `host`."""
    cpu: str | None = None
    """The processor's name."""
    runtime: str | None = None
    """What ran the file."""
    runtime_version: str | None = None
    """Its version."""
    provider: str | None = None
    """The provider that ran it."""
    threads: PositiveInt | None = None
    """CPU threads of an operator."""
    batch: PositiveInt | None = None
    """Images in an inference."""
    governor: str | None = None
    """The CPUs' clock governor."""
    power_mode: str | None = None
    """The device's power mode by its name, such as "15W"."""
    clocks_locked: bool | None = None
    """Whether the clocks are fixed at the power mode's highest, as `jetson_clocks` does."""
    transfers: Literal["included", "excluded"] | None = None
    """Whether copies to and from an accelerator count, see `values.MeasuringProtocol`; absent, they do."""
    artifact: str | None = None
    """The artifact's name, which is its file's without the suffix."""


@dataclass(frozen=True)
class Stated:
    """A limit that a budget states."""

    table: str
    """Its name."""
    kind: Limit
    settings: Value

    @property
    def needs(self) -> Needs:
        """What must be given or measured for it to be judged."""
        return self.kind.needs(self.settings)


def known_limits() -> dict[str, Limit]:
    """Every limit that a budget can hold, by the name of its table."""
    return {name: catalog.load(LIMITS, name) for name in catalog.names(LIMITS)}


def _with_limits(kind: type[V]) -> type[V]:
    """The same value with a field for the table of each limit."""
    tables: dict[str, Any] = {name: (limit.Settings | None, None) for name, limit in known_limits().items()}
    return create_model(kind.__name__, __base__=kind, __module__=kind.__module__, __doc__=kind.__doc__, **tables)


@_with_limits
class Budget(Value):
    """What a model must meet on a target. Limits that are left out are not checked."""

    name: Name
    """What verdicts and reports call it."""
    title: str = ""
    """One line for people."""
    conditions: Conditions | None = None
    """What a measurement must equal to be judged."""
    references: tuple[Reference, ...] = ()
    """Published figures for the reader, never limits."""

    @model_validator(mode="after")
    def _has_one_cadence(self) -> Self:
        wanted = {limit.table: limit.needs.cadence_hz for limit in self.limits() if limit.needs.cadence_hz is not None}
        if len({*wanted.values()}) > 1:
            tables = " and ".join(f"[{table}]" for table in wanted)
            raise ValueError(
                f"{tables} are judged on one measurement: state the same cadence_hz in both, or in neither"
            )
        return self

    def limits(self) -> list[Stated]:
        """Those that are stated: what guides the search first, then by the names of their tables, trained ones last."""
        settings = {name: getattr(self, name) for name in known_limits()}
        found = [Stated(name, limit, settings[name]) for name, limit in known_limits().items() if settings[name]]
        return sorted(found, key=lambda limit: (not limit.needs.guides_search, limit.needs.trained, limit.table))

    def only(self, wanted: Callable[[Needs], bool]) -> Self:
        """The budget without the limits whose needs aren't as wanted."""
        return self.model_copy(update={limit.table: None for limit in self.limits() if not wanted(limit.needs)})

    def of(self, settings: type[S]) -> S | None:
        """What it states of the limit with these settings."""
        return next((limit.settings for limit in self.limits() if isinstance(limit.settings, settings)), None)


class Budgets(Value):
    """What `edgekd budgets --json` prints."""

    schema_version: Literal["edgekd.budgets/1"] = "edgekd.budgets/1"
    budgets: tuple[Budget, ...]


def known() -> list[Budget]:
    """All budgets, shipped and the user's own, by name."""
    return [read(path) for _, path in sorted(catalog.toml_files("profiles").items())]


def load(name: str) -> Budget:
    """The budget of that name, or in that file. Raises EdgekdError, as `read`, or where there is none of that name."""
    if path := catalog.as_path(name):
        return read(path)
    files = catalog.toml_files("profiles")
    if name not in files:
        raise EdgekdError(f"no budget {name!r}", catalog.nearest_or_file(name, files))
    return read(files[name])


def read(path: Path) -> Budget:
    """The budget in a TOML file. Raises EdgekdError: it can't be read, a key is unknown, of a wrong type or range."""
    return catalog.read_toml(path, Budget)


def require_limits(budget: Budget) -> None:
    """Raises EdgekdError if there is nothing in a budget to judge."""
    if not any(limit.settings.model_dump(exclude_none=True) for limit in budget.limits()):
        raise EdgekdError(f"budget {budget.name!r} has no limits", "Add one, such as [latency] with limit_ms = 10.")


def require_baseline(budget: Budget, *, given: bool) -> None:
    """Raises EdgekdError if a limit is relative to a baseline and none is given."""
    relative = [f"{limit.table}.{limit.needs.baseline}" for limit in budget.limits() if limit.needs.baseline]
    if relative and not given:
        raise EdgekdError(
            f"budget {budget.name}: {relative[0]} is relative to a baseline, and none was given",
            "Give the original model, or its measurement of the same session, with --baseline.",
        )


def require_engines(budget: Budget, facts: DeviceFacts, runtimes: Iterable[str]) -> None:
    """Raises EdgekdError if an engine's size is limited, and none of these runtimes of the device builds engines."""
    limited = [f"{limit.table}.{limit.needs.engine}" for limit in budget.limits() if limit.needs.engine]
    known = {name: facts.runtimes[name] for name in runtimes if name in facts.runtimes}
    if limited and known and not any(runtime.builds for runtime in known.values()):
        without = ", ".join(known)
        message = (
            f"budget {budget.name}: {limited[0]} limits what the device builds, and its runtimes ({without}) build"
        )
        raise EdgekdError(f"{message} nothing", "Leave it out: the file itself is run, which size.disk_bytes limits.")


def for_given_device(budget: Budget) -> bool:
    """Whether it limits times or energy themselves, which hold for one given device, rather than their ratio."""
    return any(limit.needs.given_device for limit in budget.limits())


def traced(budget: Budget) -> bool:
    """Whether the nodes must be traced."""
    return any(limit.needs.traced for limit in budget.limits())


def paired(budget: Budget) -> bool:
    """Whether a limit is judged by the ratio to a baseline that takes turns with what is judged."""
    return any(limit.needs.paired for limit in budget.limits())
