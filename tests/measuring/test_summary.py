from edgekd.measuring import summary


def test_an_engine_is_shown_with_its_size_and_how_long_its_build_took(measurement):
    built = measurement(engine_bytes=7_000_000, build_seconds=83.21)
    table = {row[0]: row[1:] for row in summary.rows([built, measurement()])}
    assert table["engine"] == ["7.00 MB", "none"]
    assert table["engine built in"] == ["83.2 s", ""]
    assert "engine" not in {row[0] for row in summary.rows([measurement()])}
