"""The page of a verdict: it first, figures only where they are the target's, and names shown as text."""

import re

from edgekd.gate.ci import html
from edgekd.gate.judge import Judged, Unjudged
from edgekd.values import Failure


def shown(*outcomes):
    return html.text(outcomes, tolerate=False)


def headings(page):
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", page)


def test_the_verdict_comes_first_with_its_limits_and_then_what_it_was_reached_on(verdict, limit, measurement):
    m = measurement()
    page = shown(Judged(verdict("fail", limit()), m, m))
    assert '<h1>net on budget camera <span class="status fail">fail</span></h1>' in page
    assert headings(page) == ["Verdict", "Figures", "Where and how it was measured"]
    assert "p99 ≥ 15.1 ms at 95 %" in page
    assert "What to do next" in page
    assert f"{m.artifact.name} (baseline)" in page


def test_there_are_no_figures_of_what_is_not_the_targets_or_was_not_measured(verdict, limit, measurement):
    for changes in ({"on_target": False}, {"launches": ()}):
        page = shown(Judged(verdict("not measured", limit("not measured")), measurement(**changes)))
        assert headings(page) == ["Verdict", "Where and how it was measured"]


def test_of_several_devices_each_has_a_row_and_its_own_parts(verdict, limit, measurement):
    gone = Unjudged("attic", Failure(message="it can't be reached", hint="Switch it on.", exit_code=5))
    page = shown(Judged(verdict("pass", limit("pass")), measurement(), device="desk"), gone)
    assert '<span class="status not-measured">not measured</span></h1>' in page
    assert headings(page)[:2] == ["Devices", "Verdict: desk"]
    assert "it can't be reached: Switch it on." in page
    assert len(set(re.findall(r'<h2 id="([^"]*)"', page))) == len(headings(page))


def test_no_name_is_markup_or_hidden(verdict, limit, measurement, hostile):
    found = verdict("fail", limit(evidence=hostile or "x"), artifact=hostile, budget=hostile)
    page = shown(Judged(found, measurement(), device=hostile))
    assert "<script>alert" not in page
    assert not re.search("[\x00\x07\x1b\u202e]", page)
