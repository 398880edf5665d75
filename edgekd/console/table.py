"""Tables as text."""

from collections.abc import Sequence
from itertools import zip_longest

from edgekd.visible import visible

_WIDTH_OF_A_FILE = 400  # lines in a log aren't wrapped
_GAP = 2  # between columns


def table(rows: Sequence[Sequence[str]], *, terminal: bool) -> str:
    """Rows below their headings, as wide as the terminal if it is for one.

    Nothing is cut off: names, which stand first, are to be typed or copied, and so are URLs. Where the terminal is too
    narrow for the longest words, the cells of a row stand below one another.
    """
    from rich.console import Console
    from rich.table import Table

    rows = [[visible(cell) for cell in row] for row in rows]
    # what asks for colours in a file (FORCE_COLOR) doesn't mean bold headings there
    forced, width = (None, None) if terminal else (False, _WIDTH_OF_A_FILE)
    console = Console(markup=False, highlight=False, emoji=False, force_terminal=forced, width=width)
    if _least_width(rows) > console.width:
        return "\n".join(line for row in rows[1:] for line in _block(rows[0], row))
    laid_out = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(rows[0]):
        laid_out.add_column(heading, overflow="fold", no_wrap=number == 0)
    for row in rows[1:]:
        laid_out.add_row(*row)
    # not printed by rich, which would end the process with exit code 1 when the reader of a pipe is gone
    with console.capture() as capture:
        console.print(laid_out)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _least_width(rows: Sequence[Sequence[str]]) -> int:
    """With the names whole, and the words of the other cells."""
    from rich.cells import cell_len

    names, *others = zip_longest(*rows, fillvalue="")
    words = [max(cell_len(word) for cell in column for word in ("", *cell.split())) for column in others]
    return max(map(cell_len, names)) + sum(words) + _GAP * len(words)


def _block(headings: Sequence[str], row: Sequence[str]) -> list[str]:
    cells = zip(headings[1:], row[1:], strict=False)
    return [row[0], *(f"  {heading}: {cell}" for heading, cell in cells if cell)]
