"""Tests of particle tables."""
