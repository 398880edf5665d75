"""CITATION.cff has what the Citation File Format 1.2.0 requires, of this version."""

from pathlib import Path

import yaml

import edgekd

CITED = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text())


def test_it_can_be_cited():
    assert CITED["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(CITED)
    assert all(set(author) & {"name", "family-names"} for author in CITED["authors"])
    assert CITED["type"] == "software"


def test_it_is_of_this_version():
    assert CITED["version"] == edgekd.__version__
    assert CITED["license"] == "Apache-2.0"
