"""Images to a verified movie, through ffmpeg.

``encode`` makes a movie of images, ``segments`` and ``segment_plan`` make it in parts that are joined, ``verify`` reads
it back, and ``ffmpeg`` finds and runs the program.
"""

__all__ = ["encode", "ffmpeg", "segment_plan", "segments", "verify"]
