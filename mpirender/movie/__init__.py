"""Encode images into a verified movie with ffmpeg.

``encode`` makes a movie from images, ``segments`` and ``segment_plan`` make it in segments that are joined, ``verify``
decodes it, ``movie_metadata`` reads where it comes from, ``image_stream`` feeds the images, and ``ffmpeg``
finds and runs the program.
"""

__all__ = ["encode", "ffmpeg", "image_stream", "movie_metadata", "segment_plan", "segments", "verify"]
