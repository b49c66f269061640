"""Experiments and reports: the paper's tables and figures, and ours."""
