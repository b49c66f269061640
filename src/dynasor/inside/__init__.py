"""What our schedulers inside of engines have in common: tags of requests, the ranking, settings, what they count."""
