"""The host of the batch runner: moves bytes and time for the sessions, and decides nothing (paper 5.2)."""
