"""Types that many modules name, defined once; those of arrays are in `arrays`."""

from collections.abc import Callable, Mapping
from typing import Any

Attributes = dict[str, Any]  # of an HDF5 file
Config = Mapping[str, Any]  # a study's, or a model's config.json
Model = Mapping[str, Any]  # an entry of `models` in a study
Progress = Callable[[int], object]  # takes how many more are done
Warn = Callable[[str], object]  # takes a warning
