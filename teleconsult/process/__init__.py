"""Supervised child processes that exchange one JSON object a line with their parent.

Media workers and device readers run as children so that a crash in one ends nothing else. This room knows
how to start, talk to, stop and restart a child. It does not know what the messages mean.

The code is written for plain threads, so it runs unchanged under gevent's monkey patching.
"""

from teleconsult.process._aside import aside
from teleconsult.process._child import ChildChannel, open_channel
from teleconsult.process._lines import LimitedLines
from teleconsult.process._parent import Backoff, ChildProcess

__all__ = ["Backoff", "ChildChannel", "ChildProcess", "LimitedLines", "aside", "open_channel"]
