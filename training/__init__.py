"""Makes the built-in model: problems, tokenizer, policy, evaluation. Not in the wheel; see docs/built-in-model.md."""
