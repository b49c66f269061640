"""Where files and batches are, in OpenAI's API."""

FILES, BATCHES = "/v1/files", "/v1/batches"
