"""Tests of the guests who speak arrays."""
