"""Where a prompt grid comes from."""

from pathlib import Path

from expunge.prompts.grid import PromptGrid, load_grid


def load_prompt_grid(source: str) -> PromptGrid:
    """The zoo's grid for ``zoo``, the digits' for ``digits``, else the YAML file of that name.

    Raises:
        ExpungeError: the file is missing or is not a grid.
    """
    if source == "zoo":
        from expunge.zoo.world import zoo_grid

        return zoo_grid()
    if source == "digits":
        from expunge.digits.data import digits_grid

        return digits_grid()
    return load_grid(Path(source))
