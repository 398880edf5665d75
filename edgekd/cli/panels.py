"""`--help` in panels, as plain text: typer draws them with rich only, whose import takes longer than all the rest."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from edgekd.console.progress import Loudness

MODEL = "Model"
DATA = "Data"
DEVICE = "Target and device"
COMPRESSION = "Compression"
TRAINING = "Training"
MEASURING = "Measuring"
BUDGET = "Budget"
OUTPUT = "Output"

WIDTH = 100
"""Columns, at most."""
_OPTION_WIDTH = 34

loudness: "ContextVar[Loudness]" = ContextVar("loudness", default="normal")
"""How much the running verb says."""


class Command(TyperCommand):
    """A command that lists its options by their `rich_help_panel`, in the order in which the panels first appear."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options; an option without a panel, such as --help, goes to the last one."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                last = next(reversed(panels), "Options")
                usual = "Arguments" if parameter.param_type_name == "argument" else last
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=_OPTION_WIDTH)


class Verb(Command):
    """A command that takes its time: it says what it does, as much as --quiet or --verbose ask for."""

    def __init__(self, *given: Any, params: list[Any] | None = None, **more: Any) -> None:
        option = TyperOption(
            param_decls=["quiet", "--quiet/--verbose", "-q/-v"],
            type=bool,
            is_flag=True,
            default=None,
            help="Say only results and warnings, or every detail.",
            rich_help_panel=OUTPUT,
        )
        super().__init__(*given, params=[*(params or []), option], **more)

    def invoke(self, ctx: Any) -> Any:
        """Run it with what it is to say."""
        quiet = ctx.params.pop("quiet")
        asked = loudness.set("normal" if quiet is None else "quiet" if quiet else "verbose")
        try:
            return super().invoke(ctx)
        finally:
            loudness.reset(asked)
