"""Search: how much is removed from the network, found by the recipe's search."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.progress import Progress
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Criterion
from edgekd.search._base import SEARCHES, WHOLE, Candidates, Question, Search
from edgekd.steps._read import has_pruning, trainings
from edgekd.values import Candidate, Keep, Plan, Recipe


def learns_unpruned(recipe: Recipe) -> bool:
    """Whether the recipe has a student that differs from the teacher even where nothing is pruned."""
    return recipe.student is not None or not has_pruning(recipe)


@dataclass(frozen=True)
class Searching:
    """The search that a recipe asks for."""

    recipe: Recipe
    has_device: bool
    """Whether candidates can be measured."""

    @property
    def search(self) -> Search:
        """The recipe's.

        Raises:
            EdgekdError: there is none of that name, or it takes no ratio or structure.
        """
        name = self.recipe.search.method or self._default
        if self.is_stated and name != "fixed":
            what = f"search.method = {name!r} searches for what the recipe states"
            raise EdgekdError(what, "Remove search.ratio and search.structure, or search.method.")
        return catalog.load(SEARCHES, name)

    @property
    def _default(self) -> str:
        """By a table where layers can be timed and channels are ranked, and the recipe states no option of another."""
        if self.is_stated:
            return "fixed"
        stated, of_uniform = self.recipe.search, catalog.load(SEARCHES, "uniform").Options.model_fields
        is_timed = self.has_device and stated.keep == Keep() and not stated.options.keys() & of_uniform.keys()
        return "latency_table" if is_timed and self._criterion.SCORES == "channels" else "uniform"

    @property
    def _criterion(self) -> Criterion:
        return criterion_of(self.recipe.prune.criterion, self.recipe.prune.options)[0]

    @property
    def is_stated(self) -> bool:
        """Whether the recipe says how much goes."""
        return self.recipe.search.ratio is not None or self.recipe.search.structure is not None

    def question(self, variants: Collection[str] = ()) -> Question:
        """What is asked of the search; raises EdgekdError if it, or the criterion, has no such option."""
        settings, search = self.recipe.search, self.search
        criterion = self._criterion
        try:
            options = search.Options.model_validate(settings.options)
        except ValidationError as e:
            raise EdgekdError(*catalog.explain(e, "search.options", search.Options)) from e
        return Question(
            granularity=criterion.SCORES,
            settings=settings,
            options=options,
            fractions=getattr(criterion, "FRACTIONS", ()),
            has_device=self.has_device,
            variants=frozenset(variants),
            epochs=None
            if settings.method
            else sum(training.epochs or 0 for training in trainings(self.recipe)) or None,
        )

    def check(self) -> None:
        """Raises EdgekdError if there is no such criterion, search or option, or nothing to plan by."""
        question = self.question()
        if self.is_stated or not learns_unpruned(self.recipe):
            self.search.check(question)

    def plan(self, candidates: Candidates, variants: Collection[str], progress: Progress) -> Plan:
        """The structure of the student; raises EdgekdError as the search.

        Args:
            candidates: of the network that the student begins as.
            variants: those that count.
            progress: gets the plan.
        """
        if self.recipe.student and not self.is_stated:
            return Plan(proposal=WHOLE, feasible=None, why="the student is another architecture")
        if not has_pruning(self.recipe):
            return Plan(proposal=WHOLE, feasible=None, why="no step prunes")
        plan = self.search.find(self.question(variants), candidates)
        progress.note(f"plan: remove {plan.proposal.what}: {plan.why}")
        return plan

    def plan_again(
        self, candidates: Candidates, seen: Sequence[Candidate], *, variants: Collection[str], why: str
    ) -> Plan:
        """The structure where no more than these variants are left: from what was measured for the first plan, and what
        must be measured besides.

        Args:
            candidates: as for `plan`.
            seen: those that were measured for it.
            variants: that are left.
            why: the others aren't.
        """
        question = replace(self.question(variants), seen=tuple(seen))
        again = self.search.find(question, candidates)
        return again.model_copy(update={"why": f"{why}; {again.why}"})
