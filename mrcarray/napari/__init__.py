"""The plugin for napari: MRC files as layers, and layers as MRC files.

napari finds it by the manifest ``napari.yaml``, which the entry point ``napari.manifest`` names; nothing here imports
napari. `napari_kwargs` gives the arguments of ``viewer.add_image`` for an array that is open already.
"""

from mrcarray.napari.layers import napari_kwargs

__all__ = ["napari_kwargs"]
