"""How much more may this program spend? The paper's intra-program scheduler (5.2.1)."""
