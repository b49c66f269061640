"""Dynasor schedules inference-time compute for LLM reasoning programs by how certain their answers are."""

__version__ = "0.1.0"
