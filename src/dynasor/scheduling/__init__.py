"""Which waiting request is next? The paper's inter-program scheduler (5.3.1), for all programs of one engine."""
