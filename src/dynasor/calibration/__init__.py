"""From labelled runs to a policy with a promise (paper 5.2.2)."""
