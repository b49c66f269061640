"""Batches: files of requests that are answered in their own time, and lose nothing to a kill. OpenAI's API of them."""
