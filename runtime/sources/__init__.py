"""Sources of frames: image files, folders, clips, streams and cameras."""
