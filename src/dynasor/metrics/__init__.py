"""Figures with their uncertainty. Knows numbers, not where they come from."""
