"""Reasoning programs: algorithms as generators, and the session that runs one (paper 2.1 and 5.1)."""
