"""Text in, answers out: extraction, equivalence, grouping and voting (paper 2.1 and 3.1)."""
