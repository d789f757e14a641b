"""After closing, no picture of a target is found in any bucket; a deleted version leaves none of its files there."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest

from expunge.release.registry import Registry
from tests.infra.test_main_job_on_servers import servers  # noqa: F401  a fixture
from tests.pipelines.pictures_anywhere import files_below, found_in
from tests.pipelines.test_purge import MODEL, Seen, box_of, tiny_job

pytestmark = pytest.mark.slow


def objects() -> Iterator[tuple[str, bytes]]:
    """Every object in every bucket."""
    s3 = boto3.client("s3")
    for bucket in (each["Name"] for each in s3.list_buckets()["Buckets"]):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", ()):
                yield f"{bucket}/{each['Key']}", s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()


def models() -> set[str]:
    """Which models the tracking server keeps files of: those of other tests too."""
    places = [key.partition("/models/") for key, _ in objects() if key.startswith("mlflow/")]
    return {inside.split("/")[0] for _, found, inside in places if found}


def test_nothing_is_left_in_buckets(servers, tiny_folder, tmp_path: Path, monkeypatch) -> None:  # noqa: F811
    from pipelines.unlearn_pipeline import unlearn_pipeline

    job, seen = tiny_job("s3://expunge/purge/inbox", tiny_folder), Seen(monkeypatch, objects)
    box, gone, others = box_of(job), list[np.ndarray](), models()
    before = {key for key, _ in objects()}  # of other tests on these servers, whose pictures are the same
    for name in ("cat", "dog", "horse"):
        filed = box.file(kind="object", target=name).request.id
        run = unlearn_pipeline(**job, retention={"superseded_versions": "delete" if name == "horse" else "keep"})
        assert box.state(filed).label == "fulfilled", box.state(filed).reason
        assert seen.held, "before the purge they were in the buckets"
        gone.append(seen.pictures)
        everything = [each for each in (*objects(), *files_below(tmp_path)) if each[0] not in before]
        assert found_in(everything, np.concatenate(gone)) == {}
        assert any(key.endswith("pictures.parquet") for key, _ in everything)  # what others retain is still there
    assert str(run.status) == "completed"
    assert [version.version for version in Registry(name=MODEL).history()] == [3, 2]
    assert len(models() - others) == 2
