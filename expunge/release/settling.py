"""Settling a registered version: promote it if the gate let it pass, and close its requests with their certificates.

Everything is read from the registered version and from the champion log, so that any process can go on where another
one died, and ends as an undisturbed run would have.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Literal

from expunge.errors import ExpungeError
from expunge.release.certificate import Certificate
from expunge.release.certifying import certify, links_to
from expunge.release.chain import digests_in, folder_of
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.release.promotion import promote
from expunge.release.registration import SIGNED
from expunge.release.registry import Registry
from expunge.release.signing.envelope import sign_certificate
from expunge.release.signing.model_signature import SIGNATURE, files_digest
from expunge.takedown.champion_log import Approval, Crowning, Overtaken
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import NotHeld, Wait

REPORTS = Path(".expunge") / "reports"
FINDINGS = "evidence/findings.json"

Settled = Literal["promoted", "failed", "waiting", "overtaken"]


class Settling:
    """One registered version with its findings, its registry and the inbox that its requests came from.

    Args:
        inbox: opened for the registered model.
        registry: of that model.
        version: number or alias.
        page_of: renders a certificate as HTML.
    """

    def __init__(
        self, inbox: Inbox, registry: Registry, version: int | str, page_of: Callable[[Certificate], str]
    ) -> None:
        self._inbox = inbox
        self._registry = registry
        self._page_of = page_of
        self.version: ModelVersion = registry.get(version)
        self.findings = Findings.model_validate_json(registry.read(self.version.version, FINDINGS))

    def settle(self, owner: str | None = None, approval: Approval | None = None) -> Settled:
        """Promote, or let wait for an approval, or fail; then close the requests. Done again it changes nothing.

        Args:
            owner: who must hold the claims, if that is to be asked.
            approval: a person's, where the gate asks for one.

        Returns:
            What became of it. Of ``overtaken`` nothing is closed: the takedown has to be run again.
        """
        decision, version = self.findings.decision, self.version
        if not decision.passed:
            self.close(version.requests, owner)
            return "failed"
        log = self._inbox.champions
        current = log.current()
        if current is None or current.version != version.version:
            if decision.approval_within_days is not None and approval is None:
                return self._let_wait(decision.approval_within_days, owner)
            try:
                promote(log, self._registry, version, decision, owner or "", approval)
            except Overtaken:
                return "overtaken"
        self.close(version.requests, owner)
        return "promoted"

    def close(self, request_ids: Iterable[str], owner: str | None = None) -> list[Certificate]:
        """Give requests their outcome and certificate, and put report and certificates on file.

        They are written below ``.expunge/reports/VERSION`` and attached to the version's run in MLflow. A request that
        somebody else holds by now is left to them.
        """
        folder, crowning = self._fetched(self.version.version), self._crowning()
        issued_at, approval = (crowning.at, crowning.approval) if crowning else (self.version.registered_at, None)
        signature = folder / SIGNATURE
        links = links_to(
            self.findings,
            digests_in(self._fetched(self.version.made_from)) if self.version.made_from else (),
            files_digest(signature) if signature.exists() else None,  # versions of before were not signed
        )
        asked = [each for each in self.findings.case.batch.requests if each.id in set(request_ids)]
        certificates = [certify(each, self.findings, self.version, issued_at, links, approval) for each in asked]
        self._put_on_file(certificates, folder)
        failures = self.findings.failures()
        reason = f"the gate was not passed: {failures}" if failures else "the gate was passed"
        for each in certificates:
            try:
                self._inbox.close(
                    each.request.id, each.outcome.value, reason, each.model_dump(mode="json"), owner=owner
                )
            except NotHeld as error:
                print(error)
        return certificates

    def _let_wait(self, days: float, owner: str | None) -> Settled:
        log = self._inbox.champions
        current = log.current()
        if (current.version if current else None) != self.version.made_from:
            return "overtaken"
        until = self.version.registered_at + timedelta(days=days)
        wait = Wait(version=self.version.version, made_from=self.version.made_from, until=until)
        for each in self.version.requests:
            if self._inbox.state(each).wait != wait:
                self._inbox.wait(each, wait, owner)
        return "waiting"

    def _crowning(self) -> Crowning | None:
        """How the version was crowned, None if it did not pass: the same whoever asks, and when."""
        if not self.findings.decision.passed:
            return None
        for each in reversed(self._inbox.champions.entries()):
            if each.version == self.version.version and each.why != "roll-back":
                return each
        raise ExpungeError(f"version {self.version.version} was never champion, so none of its requests is fulfilled")

    def _fetched(self, version: int) -> Path:
        """The local folder of a version's report and certificates, with what its run in MLflow holds of them."""
        folder = folder_of(REPORTS, self.version.name, version)
        folder.mkdir(parents=True, exist_ok=True)
        for kept in (SIGNED, "report"):
            self._registry.fetch(version, kept, folder)
        return folder

    def _put_on_file(self, certificates: list[Certificate], folder: Path) -> None:
        for each in certificates:
            named = folder / f"certificate-{each.request.id}.json"
            named.write_text(each.model_dump_json(indent=1), encoding="utf-8")
            named.with_suffix(".html").write_text(self._page_of(each), encoding="utf-8")
            sign_certificate(named)
        self._registry.attach(self.version.version, {"report": folder})
