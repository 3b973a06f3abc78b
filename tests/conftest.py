"""What every test shares: settings of Hypothesis, and nothing of ours."""

import os

from hypothesis import settings

# A busy machine must not fail a property; CI looks at more examples, and at the same ones every time.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
