"""Tests with packages that are used together with this one; the page on them has snippets, which `test_docs` runs."""
