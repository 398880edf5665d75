"""The formats of a run's report, one a module; `edgekd.report.formats._base` says what it provides."""
