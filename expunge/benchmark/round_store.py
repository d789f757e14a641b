"""Finished rounds on disk, ``round-01.json`` and the model beside it: a stopped sequence goes on where it was."""

import json
import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Evaluation
from expunge.models.sources import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.prompts.target import Target

FORMAT_VERSION = 1


class Verdicts(BaseModel):
    """The classifier's verdict on each picture of one target; the same prompts and noise in every round.

    Attributes:
        texts: n prompts.
        absent: n times whether the target was not found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    texts: tuple[str, ...]
    absent: tuple[bool, ...]


class Round(BaseModel):
    """One takedown, and what was measured after it.

    Attributes:
        key: SHA-256 of everything that it depends on.
        number: from 1.
        target: what was forgotten in this round.
        before: SHA-256 of the weights it started from.
        after: SHA-256 of the weights it left.
        steps: made by the method.
        stopped: why it stopped.
        passes: forward and backward passes that the steps took.
        seconds: of the whole round, drawing and measuring included.
        evaluation: every target of the sequence and the rest, against the original model.
        verdicts: by target, what UA rests on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str
    number: int
    target: Target
    before: str
    after: str
    steps: int
    stopped: str
    passes: float
    seconds: float
    evaluation: Evaluation
    verdicts: dict[str, Verdicts]


class RoundStore:
    """A folder of rounds by number.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, number: int, key: str) -> Round | None:
        """A finished round; None if it was not finished.

        Raises:
            ExpungeError: the folder holds another sequence, or the file is damaged.
        """
        path = self._facts(number)
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text())
            if stored["format_version"] != FORMAT_VERSION or stored["round"]["key"] != key:
                raise ExpungeError(f"folder: {path} is of another sequence, model or version; name another folder.")
            return Round.model_validate(stored["round"])
        except (OSError, json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
            raise ExpungeError(f"folder: {path}: {error}; remove it to do the round again.") from error

    def model(self, done: Round) -> TextToImage:
        """The model that a finished round left.

        Raises:
            ExpungeError: it is not there, or is another.
        """
        folder = self._model(done.number)
        try:
            model = load_text_to_image(folder)
        except (OSError, ValueError) as error:
            raise ExpungeError(f"folder: {folder}: {error}; remove {self._facts(done.number).name} as well.") from error
        if model.digest() != done.after:
            raise ExpungeError(f"folder: {folder} holds another model than round {done.number} left; remove both.")
        return model

    def put(self, done: Round, model: TextToImage) -> None:
        """Keep a round. The model comes first: a round whose facts are there is whole."""
        shutil.rmtree(self._model(done.number), ignore_errors=True)  # what a killed round left
        model.save(self._model(done.number))
        partial = self._facts(done.number).with_suffix(".partial")
        text = json.dumps({"format_version": FORMAT_VERSION, "round": done.model_dump(mode="json")}, indent=1)
        partial.write_text(text + "\n")
        os.replace(partial, self._facts(done.number))

    def _facts(self, number: int) -> Path:
        return self.folder / f"round-{number:02d}.json"

    def _model(self, number: int) -> Path:
        return self.folder / f"round-{number:02d}"
