"""Encode images into a verified movie with ffmpeg.

``encode`` makes a movie from images, ``segments`` and ``segment_plan`` make it in segments that are joined, ``verify``
decodes it, and ``ffmpeg`` finds and runs the program.
"""

__all__ = ["encode", "ffmpeg", "segment_plan", "segments", "verify"]
