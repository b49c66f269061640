"""Problems and recordings: what is asked, what the right answer is, and what models have answered before."""
