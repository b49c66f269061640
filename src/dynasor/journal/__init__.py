"""What happened, in order, on disk: the one source of every result, table, figure and resume."""
