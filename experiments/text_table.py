"""A data frame as text for a terminal."""

import pandas as pd

_DIGITS = 3


def text_table(frame: pd.DataFrame) -> str:
    """Aligned columns, numbers with three decimals, NaN as a dash."""
    shown = frame.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = [
                "-" if value != value else f"{value:,.{_DIGITS}f}" for value in shown[name]
            ]
    return str(shown.to_string(index=False))
