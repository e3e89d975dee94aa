"""Comparisons of mpirender with what people use today, on the machine they are run on."""
