"""Types of arrays, defined once."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]  # of two axes
