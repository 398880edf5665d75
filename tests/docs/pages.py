"""The pages of the documentation, and the commands that they show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^( *)(?:<!-- ([^\n]*) -->\n *)?```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """A block of a page."""

    page: str
    kind: str
    """Its info string."""
    mark: str
    """The comment above it, which no reader sees: `run`, `run: any verdict` or `not run: REASON`."""
    text: str

    @property
    def commands(self) -> list[str]:
        """One a line; a line that ends with a backslash goes on. A transcript's follow `$ `."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        if self.kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def fences(page: Path) -> Iterator[Fence]:
    """All blocks of a page, in order."""
    for found in _FENCE.finditer(page.read_text(encoding="utf-8")):
        yield Fence(str(page.relative_to(ROOT)), found[3], found[2] or "", found[4])


SHELL = [fence for page in PAGES for fence in fences(page) if fence.kind in {"sh", "console"}]
"""Those with commands."""
