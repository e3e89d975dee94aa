"""The files of a run: its journals, lock, folder and restart plan. Every other package reads a run through them."""
