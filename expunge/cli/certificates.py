"""``expunge certificate``: checking a certificate as a stranger does, and exporting what it says."""

from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, print_table
from expunge.errors import ExpungeError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def certificate() -> None:
    """Verify a certificate, or export what it says."""


@certificate.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="The model's folder: are its files those signed?")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="The signer's public key in PEM, from a source that you trust. By default .expunge/keys/certificate.pub.pem.",
)
@as_json
def verify(file: Path, model: Path | None, key: Path | None, machine: bool) -> None:
    """Check a certificate offline: format, digest, signature, gate, chain and, if given, the model.

    What was signed lies beside FILE: its .intoto.jsonl and model.sig. Exit code 0 only if nothing failed.
    """
    from expunge.release.verification import State, verify_files  # pandas and scipy take a second to import

    checks = verify_files(file, key, model)
    failed = [each.name for each in checks if each.state is State.FAILED]
    if machine:
        told = [{"check": each.name, "result": each.state.value, "found": each.found} for each in checks]
        print_json({"certificate": str(file), "valid": not failed, "checks": told})
    else:
        print_table(["check", "result", "found"], [[each.name, each.state.value, each.found] for each in checks])
    if failed:
        raise ExpungeError(f"certificate {file.name} is not valid: {', '.join(failed)} failed")


@certificate.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["dsa"]),
    required=True,
    help="dsa: a statement of reasons as the EU's DSA Transparency Database takes it; fields to complete are null.",
)
def export(file: Path, form: str) -> None:
    """Print a certificate's outcome as JSON in another form."""
    from expunge.release.certificate import load_certificate
    from expunge.release.statement_of_reasons import statement_of_reasons

    if not file.is_file():
        raise ExpungeError(f"certificate: there is no file {file}")
    print_json(statement_of_reasons(load_certificate(file.read_text(encoding="utf-8", errors="replace"))))
