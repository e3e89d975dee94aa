"""Benchmarks: compare mpirender with the usual ways to render, on the machine at hand."""
