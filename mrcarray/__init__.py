"""MRC files as lazy arrays. (The front door; to be completed.)"""

__version__ = "0.1.0"
