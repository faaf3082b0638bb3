"""What holds for every test."""

import os

# Whether Ray asks for tokens is read once a process, by its first session. Clusters that tests make have none.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
