"""Tables: files and data frames in, standardised inputs of a network out."""

from __future__ import annotations

from linnet.table.array_checks import check_finite, check_n_columns, check_same_length
from linnet.table.columns import Columns
from linnet.table.reading import read_table

__all__ = ["Columns", "check_finite", "check_n_columns", "check_same_length", "read_table"]
