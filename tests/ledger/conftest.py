"""Property tests measure rules, not machines: an example may take as long as it takes."""

from hypothesis import settings

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")
