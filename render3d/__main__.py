"""``python -m render3d`` is ``render3d``."""

import sys

from render3d.cli import main

sys.exit(main())
