import pytest

from edgekd.values import LimitVerdict, Verdict


@pytest.fixture
def limit():
    """Makes a limit's verdict: on the p99 latency, unless it says otherwise."""

    def make(status="fail", name="latency.limit_ms", **changes):
        fields = {
            "limit": 15.0,
            "observed": 15.2,
            "low": 15.1,
            "high": 15.4,
            "unit": "ms",
            "evidence": f"p99 ≥ 15.1 ms at 95 %, n = 1,840, 5 launches, budget 15 → {status}",
        }
        return LimitVerdict(name=name, status=status, **fields | changes)

    return make


@pytest.fixture
def verdict():
    """Makes a verdict of limits that were judged."""

    def make(status, *limits, **changes):
        return Verdict(**{"status": status, "budget": "camera", "artifact": "net", "limits": limits} | changes)

    return make


@pytest.fixture(
    params=[
        "<script>alert(1)</script>",
        "a|b",
        "%0A::error::told",
        "two\n::error title=x::lines\r\n# heading",
        "]]></failure><failure>",
        "@someone #1 !1 https://example.org/x",
        "*a* _b_ `c` ~~d~~ [e](f) ![g](h) $i$ \\",
        "&lt;b&gt; &amp;",
        "\x00\x07\x1b[31mred",
        "turned \u202eround",
        "no character: \ufffe",
        "名前 ÷ 🙂",
        "",
    ],
    ids=repr,
)
def hostile(request):
    """What a file's name may hold, and more."""
    return request.param
