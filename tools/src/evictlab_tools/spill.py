"""What is too large for memory on disk: a long document's queries, from where a layer's are read when they are needed,
and the tensors of a file that is being made."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evictlab_tools.errors import ToolError

if TYPE_CHECKING:  # options know of trace files, which spill, and do not wait for torch
    import torch
    from torch import Tensor


class SpillFile:
    """One file for all layers of a document, in the folder for temporary files; gone when nobody holds it any more."""

    def __init__(self, what: str = "the queries of a long document") -> None:
        self._what = what
        self._file = tempfile.TemporaryFile(prefix="evictlab-")  # noqa: SIM115 - lives as long as this
        self._size = 0

    def room(self, size: int) -> int:
        """Where so many bytes may be written."""
        self._size, at = self._size + size, self._size
        return at

    def write(self, at: int, data: memoryview) -> None:
        try:
            while data:
                written = os.pwrite(self._file.fileno(), data, at)
                data, at = data[written:], at + written
        except OSError as error:
            raise ToolError(
                f"{self._what} cannot be written to {tempfile.gettempdir()}: {error.strerror}; "
                "TMPDIR names another folder"
            ) from error

    def read(self, at: int, size: int) -> bytearray:
        data = bytearray(size)
        view, found = memoryview(data), 0
        while found < size:
            read = os.preadv(self._file.fileno(), [view[found:]], at + found)
            if read == 0:
                raise ToolError(f"{self._what} in {tempfile.gettempdir()}: the file is cut short")
            found += read
        return data


@dataclass(frozen=True)
class SpilledQueries:
    """Of one layer: reads as a float32 tensor [H_q][N][d] does by q[:, first:past]. Threads may share it."""

    file: SpillFile
    shape: tuple[int, int, int]
    held: int  # tokens that there is room for
    dtype: torch.dtype
    device: torch.device  # of what is read
    at: int  # in the file

    @staticmethod
    def make(file: SpillFile, like: Tensor, tokens: int) -> SpilledQueries:
        """Room for so many tokens, of some of which the queries [H_q][.][d] are given."""
        heads, _, dim = like.shape
        at = file.room(heads * tokens * dim * like.element_size())
        return SpilledQueries(file, (heads, tokens, dim), tokens, like.dtype, like.device, at)

    @property
    def _row(self) -> int:
        return self.shape[2] * self.dtype.itemsize

    def write(self, first: int, queries: Tensor) -> None:
        """[H_q][.][d], of the tokens from `first` on."""
        import torch  # noqa: PLC0415

        rows = queries.contiguous().cpu().view(torch.uint8).numpy()
        for head, of_head in enumerate(rows):
            self.file.write(self.at + (head * self.held + first) * self._row, memoryview(of_head).cast("B"))

    def __getitem__(self, key: tuple[slice, slice]) -> Tensor:
        heads, _, dim = self.shape
        every, tokens = key
        assert every == slice(None)
        first, past, _step = tokens.indices(self.shape[1])
        import torch  # noqa: PLC0415

        found = torch.empty(heads, past - first, dim, dtype=self.dtype)
        for head in range(heads):
            data = self.file.read(self.at + (head * self.held + first) * self._row, (past - first) * self._row)
            if data:
                found[head] = torch.frombuffer(data, dtype=self.dtype).view(-1, dim)
        return found.to(self.device).float()

    def until(self, tokens: int) -> SpilledQueries:
        """The first so many."""
        return replace(self, shape=(self.shape[0], tokens, self.shape[2]))


def until(queries: Tensor | SpilledQueries, tokens: int) -> Any:
    """The first so many, without what held the others in memory."""
    return queries.until(tokens) if isinstance(queries, SpilledQueries) else queries[:, :tokens].clone()
