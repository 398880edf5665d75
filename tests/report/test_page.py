"""The page of a run: one file that needs nothing else, in which what comes from files is text."""

import re
from html.parser import HTMLParser

import pytest
from example_report import report

from edgekd.report.blocks import Code, Document, Drawn, Items, Section, Table, Text
from edgekd.report.formats import html, markdown
from edgekd.report.markup import Markup
from edgekd.report.page import page

EMPTY = {"meta", "br", "link", "input", "img"}


class Read(HTMLParser):
    """Elements with their attributes, and whether each ends where it should."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def shown(*blocks, **changes):
    return page(Document("title", [Section("One", blocks)], **changes))


def test_a_whole_run_is_well_formed_and_small_and_asks_for_nothing():
    written = html.text(report())
    read = Read(written)
    assert len(written) < 600_000
    assert not any(
        key in {"src", "href"} and not value.startswith("#") for _, a in read.elements for key, value in a.items()
    )
    assert not read.of("link")
    assert not read.of("img")
    assert len(read.of("script")) == 1
    assert "url(" not in re.sub(r"url\(#hatch\)", "", written)


def test_a_long_name_of_a_row_has_room_beside_many_numbers():
    rows = [["57 % of the channels, in 12 of 14 groups", "1"], ["nothing", "2"]]
    names = [a.get("class") for a in Read(shown(Table(["removed", "n"], rows))).of("th") if a.get("scope") == "row"]
    assert names == ["long", None]


def test_names_from_files_are_text_in_every_part():
    written = html.text(report("invalid"))
    assert "<img" not in written
    assert written.count("<script>") == 1
    assert "".join(Read(written).text).count("onerror=") > 8
    assert "document.title='hit'" in "".join(Read(written).text)


def test_no_script_but_its_own_may_run():
    policy = next(a["content"] for a in Read(shown()).of("meta") if "content" in a and "default-src" in a["content"])
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", policy)


def test_it_begins_with_the_verdict_and_has_what_markdown_has():
    found = report("fail")
    written, marked = html.text(found), markdown.text(found)
    assert re.search(r"<h1>[^<]*&lt;img[^<]*<span class=\"status fail\">fail</span>", written)
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", written)
    assert titles == re.findall(r"^## (.*)$", marked, re.MULTILINE)
    assert titles[0] == "Verdict"
    assert "What to do next" in marked
    assert "`latency.max_ratio` is missed" in marked


def test_every_picture_has_its_numbers_as_a_table_and_says_what_it_shows():
    read = Read(html.text(report()))
    pictures = [a for a in read.of("svg") if a.get("role") == "img"]
    assert len(pictures) == len(read.of("figure")) >= 3
    assert all(len(a["aria-label"]) > 20 for a in pictures)
    others = [a for a in read.of("svg") if a.get("role") != "img"]
    assert others
    assert all(a["aria-hidden"] == "true" for a in others)


def test_tables_have_headings_for_rows_and_columns_and_numbers_on_the_right():
    read = Read(shown(Table(["name", "ms"], [["a", "1.5"], ["b", "–"]])))
    assert [a["scope"] for a in read.of("th")] == ["col", "col", "row", "row"]
    assert [a.get("class") for a in read.of("td")] == ["n", "n"]


@pytest.mark.parametrize(
    ("words", "inside"),
    [
        ("a `b < c` d", "a <code>b &lt; c</code> d"),
        ("**not `x`**", "<strong>not <code>x</code></strong>"),
        ("in *Use* it", "in <em>Use</em> it"),
        ("2 * 3 * 4 and ` alone", "2 * 3 * 4 and ` alone"),
    ],
)
def test_the_three_marks_of_words_are_kept(words, inside):
    assert f"<p>{inside}</p>" in shown(Text(words))


def test_a_cell_with_a_picture_has_its_words_and_code_and_lists_are_as_they_are():
    cell = Drawn("0.4", Markup("<svg></svg>"))
    written = shown(Table(["x"], [[cell]]), Items(["<b>"]), Code("a < b\n`c`"))
    assert '<svg></svg><span class="words">0.4</span>' in written
    assert "<li>&lt;b&gt;</li>" in written
    assert "a &lt; b\n`c`</code>" in written


def test_what_was_not_measured_has_a_page_as_well():
    unmeasured = report("not measured", device=None)
    written = html.text(unmeasured)
    assert "Nothing was measured" in written
    assert "--device" in written
