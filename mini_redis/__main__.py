"""`python -m mini_redis` is the command `mini-redis`."""

import sys

from mini_redis.cli import main

sys.exit(main())
