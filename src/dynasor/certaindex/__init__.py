"""Certaindex: how settled a program's answer is, in [0, 1] (paper 3.1)."""
