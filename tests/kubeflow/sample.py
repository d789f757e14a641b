"""A pipeline with what Kubeflow's compiler can write and the walker knows. Compiled in Kubeflow's environment:

python -m tests.kubeflow.sample FILE
"""

import sys

from kfp import compiler, dsl, kubernetes

IMAGE = "sample:1"
FLAKY = 'test -e "$0" || { touch "$0"; echo not yet; exit 3; }; echo now'


@dsl.container_component
def write(text: str, number: dsl.OutputPath(int), note: dsl.Output[dsl.Artifact]):
    return dsl.ContainerSpec(
        image=IMAGE, command=["sh", "-ec", 'printf 3 > "$0"; printf %s "$2" > "$1"'], args=[number, note.path, text]
    )


@dsl.container_component
def read(note: dsl.Input[dsl.Artifact]):
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", 'cat "$0"; echo " $SECRET"'], args=[note.path])


@dsl.container_component
def flaky(mark: str):
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", FLAKY], args=[mark])


@dsl.container_component
def slow():
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", "echo begun; sleep 600; echo ended"])


@dsl.container_component
def tell(what: str):
    return dsl.ContainerSpec(image=IMAGE, command=["echo"], args=["told", what])


@dsl.pipeline(name="sample")
def sample(mark: str, word: str = "one"):
    written = write(text="a note")
    kubernetes.use_secret_as_env(read(note=written.outputs["note"]), "kept", {"key": "SECRET"})
    flaky(mark=mark).set_retry(1)
    with dsl.If(written.outputs["number"] > 2):
        with dsl.If(word == "one"):
            tell(what="one")
        with dsl.Else():
            tell(what="another")
    with dsl.If(written.outputs["number"] >= 4):
        tell(what="never")
    hung = slow()
    kubernetes.set_timeout(hung, 1)
    tell(what="after it").after(hung)


if __name__ == "__main__":
    compiler.Compiler().compile(sample, sys.argv[1])
