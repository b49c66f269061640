import os

from hypothesis import settings

# No deadlines: other work shares the machines that run this. In CI the examples are the same every time.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
