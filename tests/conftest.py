"""What every test shares: settings of Hypothesis, and nothing of ours."""

import os

from hypothesis import settings

# A busy machine must not fail a property; CI looks at more examples, the same ones on every run.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=300, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
