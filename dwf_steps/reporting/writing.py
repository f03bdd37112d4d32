"""Tables as files: csv for programs, Markdown for reading, LaTeX for papers."""

from pathlib import Path

import numpy as np
import pandas as pd

from dwf_steps.storage.atomic import replacing
from dwf_steps.storage.csv_tables import require_distinct_columns, write_csv


def write_table(frame: pd.DataFrame, path: Path, bold: pd.DataFrame | None = None) -> None:
    """Write a table as .csv (full precision), .md and .tex (booktabs).

    Parameters
    ----------
    frame
        The table.
    path
        With any suffix, which is replaced.
    bold
        Which cells to set in bold, bool, by the columns of `presentable`.
    """
    shown, texts = presentable(frame), dict[str, str]()
    bold = pd.DataFrame(False, shown.index, shown.columns) if bold is None else bold[shown.columns]
    marked = shown.mask(bold, "**" + shown.astype(str) + "**")
    texts[".md"] = marked.to_markdown(index=False, disable_numparse=True) + "\n"
    styled = shown.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    styled = styled.apply(lambda _: np.where(bold, "textbf: --rwrap", ""), axis=None)
    texts[".tex"] = styled.to_latex(hrules=True)
    write_csv(path.with_suffix(".csv"), frame)
    for ending, text in texts.items():
        with replacing(path.with_suffix(ending)) as partial:
            partial.write_text(text, encoding="utf-8")


def presentable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as text: four digits, and each mean with its standard deviation in one column.

    ``error_mean`` and ``error_std`` become ``error``, or ``error_mean`` if ``error`` is already a column.

    Parameters
    ----------
    frame
        The table.

    Returns
    -------
    Texts with the same rows.

    Raises
    ------
    ValueError
        If two columns have the same name.
    """
    require_distinct_columns(frame)
    columns = []
    for name in map(str, frame):
        stem, _, kind = name.rpartition("_")
        if kind == "mean" and f"{stem}_std" in frame:
            texts = [
                f"{mean:.4g} ± {std:.2g}" if np.isfinite(std) else _number(mean)
                for mean, std in zip(frame[name], frame[f"{stem}_std"], strict=True)
            ]
            columns.append(pd.Series(texts, frame.index, str, name if stem in frame else stem))
        elif not (kind == "std" and f"{stem}_mean" in frame):
            columns.append(pd.Series([_number(value) for value in frame[name]], frame.index, str, name))
    shown = pd.concat(columns, axis=1)
    require_distinct_columns(shown)
    return shown


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if np.isnan(value) else f"{value:.4g}"
