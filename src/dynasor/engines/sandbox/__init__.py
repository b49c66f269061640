"""Untrusted Python programs run under hard limits, in processes of their own, and what they give back is data.

Nothing here runs unless it is asked to. `docs/decisions/sandbox.md` tells what is prevented and what is not.
"""
