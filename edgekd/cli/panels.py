"""`--help` in panels, as plain text: typer draws them with rich only, whose import takes longer than all the rest."""

from typing import Any

from typer.core import TyperCommand

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
