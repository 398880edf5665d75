"""The comparisons of the literature as runnable studies, one a module; `edgekd.studies._base` says what it provides."""
