"""The chain of certificates: followed as far as folders go, and broken by name."""

from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.release.base_model import BaseModelFacts
from expunge.release.certificate import Certificate
from expunge.release.chain import digests_in, folder_of, follow
from tests.release.made_release import issue, judged_findings, write_certificate


def version(reports: Path, number: int, base: int | None, hashes: tuple[str, str], **links) -> tuple[Certificate, Path]:
    """Certify version ``number``, made from ``base``; hashes of base and result are repeated pairs of digits."""
    findings = judged_findings(base=BaseModelFacts(source="zoo", version=base, digest=hashes[0] * 32))
    lineage = findings.lineage
    hashed = lineage.hashes.model_copy(update={"base_model": hashes[0] * 32, "unlearned_model": hashes[1] * 32})
    findings = findings.model_copy(update={"lineage": lineage.model_copy(update={"hashes": hashed})})
    if base is not None:
        links = {"previous": digests_in(folder_of(reports, "expunge-zoo", base))} | links
    certificate = issue(findings, number, **links)
    return certificate, write_certificate(certificate, folder_of(reports, "expunge-zoo", number))


@pytest.fixture
def chain(tmp_path) -> tuple[Certificate, Path]:
    version(tmp_path, 2, None, ("aa", "bb"))
    version(tmp_path, 5, 2, ("bb", "cc"))
    return version(tmp_path, 6, 5, ("cc", "dd"))


def test_it_is_followed_to_its_beginning(chain):
    whole = "followed to version 5, 2; version 2 was made from a model that has no certificate"
    assert follow(*chain) == (True, whole)


def test_without_the_folders_it_is_said_in_one_line(chain, tmp_path):
    certificate, file = chain
    (tmp_path / "expunge-zoo-2").rename(tmp_path / "away")
    checked, said = follow(certificate, file)
    assert checked and said.startswith("followed to version 5; it cannot be followed to version 2: there is no folder ")
    (tmp_path / "expunge-zoo-5").rename(tmp_path / "away-too")
    checked, said = follow(certificate, file)
    assert not checked and said.startswith("it cannot be followed to version 5") and "\n" not in said


def test_a_certificate_before_that_is_missing_another_one_or_one_more_is_named(chain, tmp_path):
    before = tmp_path / "expunge-zoo-5" / "certificate-cat-object.json"
    text = before.read_text()
    before.write_text(text.replace('"cat"', '"dog"', 1))
    with pytest.raises(ExpungeError, match="^expunge-zoo-5/certificate-cat-object.json: .* was changed"):
        follow(*chain)
    before.write_text(issue(judged_findings(), 5).model_dump_json())
    with pytest.raises(ExpungeError, match="^expunge-zoo-5/certificate-cat-object.json: not what was built on"):
        follow(*chain)
    before.with_name("certificate-more.json").write_text(before.read_text())
    before.write_text(text)
    with pytest.raises(ExpungeError, match="^expunge-zoo-5/certificate-more.json: not what was built on"):
        follow(*chain)
    before.with_name("certificate-more.json").unlink()
    before.unlink()
    with pytest.raises(ExpungeError, match="^expunge-zoo-5: a certificate that was built on is missing, with digest"):
        follow(*chain)


def test_a_model_that_is_not_the_one_before_breaks_it(tmp_path):
    version(tmp_path, 2, None, ("aa", "bb"))
    with pytest.raises(ExpungeError, match="^expunge-zoo-2/certificate-cat-object.json: it is of another model"):
        follow(*version(tmp_path, 3, 2, ("ee", "ff")))


def test_a_version_cannot_come_from_itself(tmp_path):
    certificate, file = version(tmp_path, 4, None, ("aa", "bb"))
    links = certificate.links.model_copy(update={"base_version": "4"})
    with pytest.raises(ExpungeError, match="^version 4 cannot have been made from version 4"):
        follow(certificate.model_copy(update={"links": links}), file)


def test_a_name_cannot_lead_elsewhere(chain):
    certificate, file = chain
    with pytest.raises(ExpungeError, match="^registered_model: '../../etc'"):
        follow(certificate.model_copy(update={"registered_model": "../../etc"}), file)
