"""Engines turn requests into completions: a live server, or a recording (paper 5.3.2, the execution backend)."""
