"""Motors at the crossings of row lines (high side) and column lines (low side).

Two rows and two columns on together would run four motors: one crossing at a time is on, and both
of its lines are released after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from controller.faults import InvariantError
from drivers.gpio.lines import OutputLine


class Matrix:
    """The lines that the motors share."""

    def __init__(self, rows: Sequence[OutputLine], columns: Sequence[OutputLine]) -> None:
        self._rows = tuple(rows)
        self._columns = tuple(columns)
        self._running: MatrixMotor | None = None

    def motor(self, row: int, column: int) -> MatrixMotor:
        """Return the motor at a crossing, each counted from 0."""
        return MatrixMotor(self, self._rows[row], self._columns[column])

    def take(self, motor: MatrixMotor) -> None:
        """Give the lines to ``motor``. Raises InvariantError while another one runs."""
        if self._running not in (None, motor):
            raise InvariantError("two motors of one matrix at a time")
        self._running = motor

    def release(self, motor: MatrixMotor) -> None:
        """Take the lines back."""
        if self._running is motor:
            self._running = None


class MatrixMotor:
    """One crossing."""

    def __init__(self, matrix: Matrix, row: OutputLine, column: OutputLine) -> None:
        self._matrix = matrix
        self._row = row
        self._column = column

    @property
    def cut_why(self) -> str | None:
        """Return why its last run was cut, or None."""
        return self._row.cut_why or self._column.cut_why

    def on(self, *, on_cut: Callable[[], None]) -> None:
        """Switch on: the low side first, so that the row's edge starts the motor."""
        self._matrix.take(self)
        try:
            self._column.on(on_cut=on_cut)
            self._row.on(on_cut=on_cut)
        except BaseException:
            self.off()
            raise

    def off(self) -> None:
        """Release the row, then the column, the second one even if the first fails."""
        try:
            self._row.off()
        finally:
            try:
                self._column.off()
            finally:
                self._matrix.release(self)
