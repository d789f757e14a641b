"""Ten takedowns one after another, each on the model that the last one left. Do earlier targets stay forgotten?

    python benchmarks/sequential.py                            ten targets; about 20 minutes on one core of its own
    python benchmarks/sequential.py --targets object:cat style:twemoji --target-pictures 60
    python benchmarks/sequential.py --held-pictures 16 --folder .expunge/sequential-held     earlier targets held down
    python benchmarks/sequential.py --retained-from last             what the last model draws, not the first
    python benchmarks/sequential.py --config FILE                    any field of SequentialSettings, as YAML

After each takedown every target, forgotten or still to come, and the rest are measured against the original model.
Table and picture are written anew after every round. Finished rounds are kept in --folder and are not done again.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml

from expunge.benchmark.machine import command, machine
from expunge.benchmark.sequence import Round, run_sequence
from expunge.benchmark.sequence_settings import SequentialSettings
from expunge.benchmark.sequence_table import write_sequence
from expunge.case import resolve_case
from expunge.models.resolver import load_text_to_image


def settings_of(options: argparse.Namespace) -> SequentialSettings:
    """The defaults, the file's fields above them, and the command line's above those."""
    given: dict[str, Any] = yaml.safe_load(options.config.read_text(encoding="utf-8")) if options.config else {}
    if options.targets:
        given["targets"] = options.targets
    if options.target_pictures:
        measuring = given.get("measuring") or SequentialSettings().measuring.model_dump()
        given["measuring"] = measuring | {"target_pictures": options.target_pictures}
    if options.held_pictures is not None:
        sets = given.get("diversification") or SequentialSettings().diversification.model_dump()
        given["diversification"] = sets | {"held_pictures": options.held_pictures}
    if options.retained_from:
        given["retained_from"] = options.retained_from
    return SequentialSettings.model_validate(given)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Takedowns one after another.")
    parser.add_argument("--model", default="zoo", help="zoo, a diffusers folder, a hub id or an s3:// URL")
    parser.add_argument("--world", default="zoo", help="zoo or a YAML file: what the model draws")
    parser.add_argument("--judges", default="zoo", help="zoo or an open_clip model")
    parser.add_argument("--targets", nargs="+", metavar="KIND:NAME", help="in the order in which they are forgotten")
    parser.add_argument("--target-pictures", type=int, help="pictures that each target is judged by")
    parser.add_argument("--held-pictures", type=int, help="of each earlier target, retained as drawn without it")
    parser.add_argument("--retained-from", choices=("first", "last"), help="whose pictures are retained")
    parser.add_argument("--config", type=Path, help="YAML with fields of SequentialSettings")
    parser.add_argument("--folder", type=Path, default=Path(".expunge/sequential"), help="where rounds are kept")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/sequential.md"))
    return parser.parse_args()


def said(done: Round) -> None:
    """A line about a finished round."""
    evaluation = done.evaluation
    shares = ", ".join(
        f"{each.name} {each.numbers['unlearning_accuracy'].after.value:.0%}" for each in evaluation.targets
    )
    print(
        f"round {done.number}, {done.target.name}: {done.steps} steps ({done.stopped}), {done.seconds:.0f} s; "
        f"UA {shares}; RA {evaluation.rest['retain_accuracy'].after.value:.1%}",
        flush=True,
    )


def main() -> None:
    """Forget, measure, and write table and picture down round by round."""
    options = arguments()
    settings = settings_of(options)
    rounds: list[Round] = []

    def report(done: Round) -> None:
        rounds.append(done)
        said(done)
        facts = {**machine(), "command": command(), "settings": settings.model_dump_json()}
        write_sequence(rounds, options.output, facts)

    case = resolve_case(options.world, options.judges, settings.drawing)
    run_sequence(load_text_to_image(options.model), case, settings, options.folder, report)
    print(options.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
