"""An OpenAI-compatible server that answers with reasoning programs (paper 5.1): HTTP in front, `runtime` behind."""
