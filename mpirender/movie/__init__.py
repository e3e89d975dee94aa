"""Images to a verified movie, through ffmpeg."""
