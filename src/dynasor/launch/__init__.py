"""A run from its options: the one way in for the command line and for Python."""
