"""Faces: where one is in every picture of a clip, and the clip cut down to it.

`detecting.py` finds faces in one picture and follows one through a clip, `stream.py` is what an encoder asks
for. Nothing is downloaded: the detector's trained data come with scikit-image.
"""

from blended.encoders.faces.stream import FaceCrop, FaceFrames, Faces, FaceStream, pictures

__all__ = ["FaceCrop", "FaceFrames", "FaceStream", "Faces", "pictures"]
