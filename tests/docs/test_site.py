"""The site of docs/ is built without a broken link, and links hold where the pages are read as plain Markdown, too."""

import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from markdown_it import MarkdownIt
from pages import PAGES, ROOT

SITE = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
LINKED = [*PAGES, *(ROOT / name for name in ("ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"))]
_EXTERNAL = re.compile(r"https?://|mailto:")


def pages_of(nav):
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else pages_of(value)


def tokens(page):
    for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def anchors(page):
    """Those that GitHub gives headings."""
    found, heading = set(), False
    for token in tokens(page):
        if token.type == "inline" and heading:
            text = "".join(child.content for child in token.children if child.type in {"text", "code_inline"})
            found.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
        heading = token.type == "heading_open"
    return found


def links(page):
    for token in tokens(page):
        target = token.attrGet("href") or token.attrGet("src")
        if target and not _EXTERNAL.match(target):
            yield target


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), link
        if anchor:
            assert anchor in anchors(to), link


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_links_of_the_site_stay_in_it(page):
    assert all((page.parent / link.partition("#")[0]).resolve().is_relative_to(ROOT / "docs") for link in links(page))


def test_every_page_is_in_the_navigation_once():
    listed = list(pages_of(SITE["nav"]))
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


@pytest.mark.slow
def test_the_site_is_built_strictly(tmp_path):
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    for page in pages_of(SITE["nav"]):
        name = page.replace("README.md", "index.md").removesuffix(".md")
        assert "<h1" in (tmp_path / SITE["site_dir"] / f"{name}.html").read_text(encoding="utf-8")
