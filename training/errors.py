"""Errors of the training loop, part of the one tree under `ProvenanceError`."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from provenance.errors import ProvenanceError, did_you_mean, nearest


class UnknownLearner(ProvenanceError, LookupError):
    """No learner of that name is registered."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"There is no learner {name!r}.{did_you_mean(name, self.known)} Expected one of: {', '.join(self.known)}."
        )


class UnknownMetric(ProvenanceError, LookupError):
    """No metric of that name is computed."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"There is no metric {name!r}.{did_you_mean(name, self.known)} Expected one of: {', '.join(self.known)}."
        )


class ExperimentInvalid(ProvenanceError, ValueError):
    """An experiment file has an unknown field, a wrong value, or settings that contradict each other."""

    def __init__(self, origin: str, place: str, reason: str) -> None:
        self.origin = origin
        self.place = place
        self.reason = reason
        where = f" at {place}" if place else ""
        super().__init__(f"{origin}{where}: {reason.rstrip('.')}. Correct the experiment file and run it again.")


class UnknownField(ExperimentInvalid):
    """A field that experiments do not have; it is refused because ignoring it would run another experiment."""

    def __init__(self, origin: str, place: str, field: str, known: Iterable[str]) -> None:
        self.field = field
        self.known = tuple(known)
        close = nearest(field, self.known)
        help_ = f"the nearest known one is {close!r}" if close else f"known are {', '.join(self.known)}"
        super().__init__(origin, place, f"unknown field {field!r}, {help_}")


class ExperimentChanged(ProvenanceError, ValueError):
    """The store holds runs of an experiment of this name with other settings."""

    def __init__(self, name: str, field: str, stored: object, given: object) -> None:
        self.name = name
        self.field = field
        self.stored = stored
        self.given = given
        super().__init__(
            f"Experiment {name!r} has runs in this store with {field} = {stored!r}, now it says {given!r}. "
            "Give the changed experiment another name, or run it on another --store."
        )


class UnknownExperiment(ProvenanceError, LookupError):
    """The store has no runs of that experiment."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        have = f"It has: {', '.join(self.known)}." if self.known else "It has none."
        super().__init__(
            f"The store has no runs of an experiment {name!r}.{did_you_mean(name, self.known)} {have} "
            "Make them with: recurse run EXPERIMENT.yaml"
        )


class LossNotFinite(ProvenanceError, ArithmeticError):
    """Training diverged: the loss is NaN or infinite."""

    def __init__(self, step: int, loss: float, checkpoint: Path | None = None) -> None:
        self.step = step
        self.loss = loss
        self.checkpoint = checkpoint
        kept = (
            "Everything before this generation is kept"
            if checkpoint is None
            else f"The last state in which all weights were numbers is kept in {checkpoint}"
        )
        super().__init__(
            f"The loss became {loss} at training step {step}. {kept}; "
            "lower the learning rate in the experiment (under another name) and run it again."
        )


class ModelNotFound(ProvenanceError, FileNotFoundError):
    """A pretrained model is neither a local folder nor reachable by name."""

    def __init__(self, model: str, cause: str) -> None:
        self.model = model
        self.cause = cause
        super().__init__(
            f"The model {model!r} cannot be loaded: {cause}. Give a folder made by save_pretrained, "
            "or a model name on a machine that reaches the model hub."
        )


class CheckpointDamaged(ProvenanceError, ValueError):
    """A saved model does not have the digest that was written beside it."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.directory = directory
        self.reason = reason
        super().__init__(
            f"The saved model in {directory} is damaged: {reason}. Remove that folder and run the experiment again; "
            "it fits this model anew."
        )


class BlocksUnusable(ProvenanceError, ValueError):
    """Token blocks that this learner cannot be fitted on."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The token blocks cannot be used: {reason}. Export them with the learner's tokenizer.")


class TokenizerUnusable(ProvenanceError, ValueError):
    """A learner from scratch was given a tokenizer that does not mark where texts begin."""

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__(
            f"The tokenizer has no token {token!r}, so texts in one block cannot be told apart. "
            "Let the experiment train a tokenizer, or name a pretrained model together with its own."
        )


class SampleTooSmall(ProvenanceError, ValueError):
    """A model does not give enough usable text."""

    def __init__(self, model: str, wanted: int, got: int, rounds: int) -> None:
        self.model = model
        self.wanted = wanted
        self.got = got
        self.rounds = rounds
        super().__init__(
            f"The model {model!r} gave {got:,} usable tokens in {rounds} rounds of sampling, {wanted:,} are needed: "
            "its output is nearly empty. Train it longer, or ask for fewer tokens a generation."
        )


class OutputTaken(ProvenanceError, FileExistsError):
    """The output folder belongs to another store."""

    def __init__(self, path: Path, store_id: str) -> None:
        self.path = path
        self.store_id = store_id
        super().__init__(f"{path} holds the files of another store ({store_id}). Choose another --out.")


class BatchNotDivisible(ProvenanceError, ValueError):
    """The blocks of a training step cannot be divided evenly over processes and parts."""

    def __init__(self, batch_size: int, n_processes: int, n_parts: int) -> None:
        self.batch_size = batch_size
        self.n_processes = n_processes
        self.n_parts = n_parts
        super().__init__(
            f"A batch of {batch_size} blocks is no multiple of {n_processes} process(es) × {n_parts} part(s) "
            "(gradient_accumulation). The batch is that of all processes together: choose a multiple of "
            f"{n_processes * n_parts}, or other numbers."
        )


class WeightsUnusable(ProvenanceError, ValueError):
    """Loss weights that cannot be the weights of these tokens."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"The loss weights cannot be used: {reason}. "
            "Give one finite number of at least 0 for every token of every block, and not only zeros in a batch."
        )


class TrainingUnavailable(ProvenanceError, RuntimeError):
    """Training as the settings say is not possible on this machine, or with what is installed on it."""

    def __init__(self, setting: str, cause: str) -> None:
        self.setting = setting
        self.cause = cause
        super().__init__(
            f"The learner's setting {setting} is not possible here: {cause.rstrip('.')}. "
            "Change that setting, install what is missing, or run on a machine that has it."
        )


class BeamsUnusable(ProvenanceError, ValueError):
    """Beam search has no meaning here: it would give one text again and again, or the learner has none."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"Beam search is not possible: {reason}. Set `beams: 1`, or give prompts to a transformer "
            "(`prompt_source: human` or `previous`)."
        )


class PromptsUnusable(ProvenanceError, ValueError):
    """Prompts that a learner cannot continue."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"The prompts cannot be used: {reason}. Make them with the learner's tokenizer, at least one, "
            "all of one length, each to be continued by at least one token."
        )


class TooFewPrompts(PromptsUnusable):
    """Beam search has continued every prompt that there is, and has not written enough."""

    def __init__(self, needed: int, available: int) -> None:
        self.needed = needed
        self.available = available
        self.reason = f"{needed:,} are needed and there are {available:,}"
        ProvenanceError.__init__(
            self,
            f"Beam search needs {needed:,} prompts and there are {available:,}: the same prompt gives the same text. "
            "Ask for fewer tokens (`later`, `evaluation`), train generation 0 on more text (`first`), or set beams: 1.",
        )


class TrainingDiverged(LossNotFinite):
    """The loss of one model of an experiment became NaN or infinite; its state is kept."""

    def __init__(self, model: str, step: int, loss: float, checkpoint: Path | None = None) -> None:
        LossNotFinite.__init__(self, step, loss, checkpoint)
        self.model = model
        self.args = (f"Model {model!r}: {self.args[0]}",)


class OutputNotWritten(ProvenanceError, OSError):
    """A file of the loop cannot be written: the disk is full, the folder read-only, or the device lost."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(
            f"{path} cannot be written: {cause}. Everything finished before is kept; mend the cause and run the same "
            "command again: it goes on from there."
        )


class AncestryUnknown(ProvenanceError, LookupError):
    """Nobody knows what a model was trained on: it is not one of ours, or the store contradicts itself."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"The store has no training set of model {model!r}, so nothing is known about what stands behind it. "
            "Name a model that a loop made (recurse runs), or a document of one."
        )


class WorkerLost(ProvenanceError, RuntimeError):
    """A process that worked on a model was killed from outside, for instance because memory ran out."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"A process was killed while {model!r} was in the making, perhaps for want of memory. Run the same command "
            "again, with fewer models at a time (--jobs 1): it goes on from the last state that was kept."
        )


class UnknownArm(ProvenanceError, LookupError):
    """The experiment has no arm of that name with a finished generation."""

    def __init__(self, experiment: str, arm: str, known: Iterable[str]) -> None:
        self.experiment = experiment
        self.arm = arm
        self.known = tuple(known)
        super().__init__(
            f"Experiment {experiment!r} has no arm {arm!r} to compare.{did_you_mean(arm, self.known)} "
            f"It has: {', '.join(self.known)}. Name one as EXPERIMENT/ARM."
        )


class UnknownFormat(ProvenanceError, ValueError):
    """Metrics are not written in that format."""

    def __init__(self, given: str, known: Iterable[str]) -> None:
        self.given = given
        self.known = tuple(known)
        super().__init__(
            f"Metrics cannot be written as {given!r}.{did_you_mean(given, self.known)} "
            f"Choose one with --format: {', '.join(self.known)}."
        )


class NotEnoughHumanText(ProvenanceError, ValueError):
    """An arm will run out of human text that no generation before has used. Nothing was trained."""

    def __init__(
        self,
        arm: str,
        *,
        unit: str,
        needed: int,
        available: int,
        a_generation: int,
        generations: int,
        generation: int,
        affordable: int,
        share: Fraction | None,
        size: int,
    ) -> None:
        self.arm = arm
        self.unit = unit
        self.needed = needed
        self.available = available
        self.a_generation = a_generation
        self.generations = generations
        self.generation = generation
        self.affordable = affordable
        self.share = share
        self.size = size
        what = "fresh human text" if generations > 1 else "human text"
        works = [f"{affordable} generations"] if affordable and generations > 1 else []
        works += [f"a share of {float(share):g}"] if share else []
        works += [f"later.{unit}: {size}"] if size else []
        works += ["`human: fixed`"] if generations > 1 else []
        super().__init__(
            f"Arm {arm!r} would run out of {what} in generation {generation}: it needs {a_generation:,} {unit} a "
            f"generation, {needed:,} for {generations}, and beside held-out text and generation 0's there are "
            f"{available:,}. Nothing was trained. What would work: {', or '.join(works) or 'more human text'}."
        )


class NothingPassed(ProvenanceError, ValueError):
    """The filter of a curated arm let nothing of a model's output through."""

    def __init__(self, model: str, n_texts: int) -> None:
        self.model = model
        self.n_texts = n_texts
        super().__init__(
            f"None of the {n_texts:,} texts of model {model!r} passes the arm's filter: there is nothing to train on. "
            "Widen the band of perplexity, lower the classifier's threshold, or give the arm a share of human text."
        )


class DocumentsUnusable(ProvenanceError, ValueError):
    """Documents that a learner of words or numbers cannot be fitted on."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"The documents cannot be learned from: {reason}. A categorical learner reads one word a document, a "
            "Gaussian one number, a regression `y x1 … xd`."
        )


class DecodingUnusable(ProvenanceError, ValueError):
    """A way of drawing text that a learner does not know."""

    def __init__(self, learner: str, known: Iterable[str]) -> None:
        self.learner = learner
        self.known = tuple(known)
        super().__init__(
            f"Learner {learner!r} draws whole documents without prompts and knows of a decoding only "
            f"{', '.join(self.known)}. Leave the other settings as they are by default."
        )
