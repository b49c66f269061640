"""A page on which one watches the gateway's programs, and asks it a question."""
