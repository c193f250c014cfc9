"""The model file: one ``*.linnet`` in the safetensors format, tensors plus JSON in its header.

Tensors are named ``module.<name in the state_dict>``, ``error_bars.<name in the state_dict>`` and
``rows.<part>`` (row numbers of a split).
The header's entry ``linnet`` holds the rest as JSON. A file is data: reading one runs nothing.
"""

from linnet.model_file.reading import load, read_card
from linnet.model_file.writing import save

__all__ = ["load", "read_card", "save"]
