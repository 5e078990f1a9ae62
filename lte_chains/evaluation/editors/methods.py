"""The methods of editing by name, and what each is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel

from lte_chains.cases import Case
from lte_chains.errors import ConfigError
from lte_chains.evaluation.editors.base import Editor
from lte_chains.evaluation.editors.settings import Settings, configured
from lte_chains.scope import ScopeGate

if TYPE_CHECKING:
    from lte_chains.models import LocalChatModel

MOST_TEXTS = 1000
"""Train rows that ROME and MEMIT take their statistics of: more hardly change them."""
MOST_DEMONSTRATED = 1000
"""Train rows among which IKE looks for demonstrations: each is embedded first."""
_TRAINERS = {"instruct-edit": "instruct-edit"}
"""Which command trains a method, if it is not `align editors`."""
_WITHOUT_SETTINGS = ("lte", "mend", "serac", "instruct-edit")
_Config = TypeVar("_Config")


@dataclass(frozen=True, kw_only=True)
class IceSettings:
    """What can be set of in-context editing."""

    k: int = 1
    """Edits in one prompt."""


@dataclass(frozen=True, kw_only=True)
class IkeSettings(IceSettings):
    """What can be set of IKE."""

    demonstrations: int = 32
    """Demonstrations in one prompt."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resources:
    """Everything that methods may use, loaded once."""

    model: BaseChatModel
    """The aligned model, which LTE asks."""
    base: LocalChatModel
    """The model before alignment, which all other methods edit."""
    embeddings: Embeddings
    """Finds edits and demonstrations."""
    train: Sequence[Case] = field(default=())
    """Rows that are not evaluated on: IKE's demonstrations, and texts for ROME and MEMIT."""
    demonstrations: Sequence[Case] = field(default=())
    """What IKE demonstrates with where there are no train rows."""
    trained: Path | None = None
    """A folder of trained editors, as `lte-chains align editors` writes it."""
    gate: ScopeGate | None = None
    """LTE's scope gate; the retriever's default if None."""
    ungated: bool = False
    """Whether LTE holds the nearest edits in scope of every question, without any gate."""
    k: int = 3
    """Edits in one prompt of LTE, at most."""
    settings: Settings = field(default_factory=dict)
    """Settings of methods that differ from their defaults; see `read_settings`."""
    reopen: Callable[[], Resources] | None = None
    """Opens the same in another process; None if that cannot be done."""

    def __post_init__(self) -> None:
        """Check whose settings are given; what they are is checked with each editor."""
        usable = [name for name in METHODS if name not in _WITHOUT_SETTINGS]
        if wrong := sorted(set(self.settings) - set(usable)):
            raise ConfigError(f"there are no settings of {wrong}: give some of {usable}")

    def config(
        self, method: str, kind: type[_Config], *, default: _Config | None = None
    ) -> _Config | None:
        """Return a method's configuration; None, which stands for its default, if none is given.

        Raises:
            ConfigError: A setting is unknown or wrong.
        """
        if method not in self.settings:
            return None
        return configured(kind, self.settings[method], method=method, default=default)

    @property
    def texts(self) -> list[str] | None:
        """Questions of the first train rows, for statistics of keys; None without any."""
        return [case.edit.prompt for case in self.train[:MOST_TEXTS]] or None

    def editors(self, method: str) -> Path:
        """Return the folder of trained editors.

        Raises:
            ConfigError: There is none.
        """
        if self.trained is None:
            raise ConfigError(
                f"{method} must be trained before it can edit: lte-chains align "
                f"{_TRAINERS.get(method, 'editors')} … --out DIR, then --editors DIR"
            )
        return self.trained


@dataclass(frozen=True)
class Method:
    """A method of editing."""

    title: str
    """Its name in tables."""
    make: Callable[[Resources], Editor]
    """Makes an editor; the heavy imports happen here."""
    changes: str
    """What it changes: "prompt", "weights" or "model" (it adds one)."""


def make_editor(name: str, resources: Resources) -> Editor:
    """Make the editor of a method.

    Args:
        name: One of `METHODS`.
        resources: What it may use.

    Raises:
        ConfigError: There is no such method, or something that it needs is missing.
        UneditableModelError: The method cannot edit this model.
        ModelError: A trained editor cannot be read.
    """
    return METHODS[check_methods([name])[0]].make(resources)


def check_methods(names: Sequence[str]) -> list[str]:
    """Return the methods that are meant; "all" stands for every one.

    Raises:
        ConfigError: There is no such method, or none is named.

    Example:
        >>> check_methods(["lte", "rome", "lte"])
        ['lte', 'rome']
    """
    if list(names) == ["all"]:
        return list(METHODS)
    unknown = sorted(set(names) - set(METHODS))
    if unknown or not names:
        raise ConfigError(f"unknown methods {unknown}: use 'all', or some of {list(METHODS)}")
    return list(dict.fromkeys(names))


def _lte(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.lte import Lte

    return Lte(
        given.model,
        unedited=given.base,
        embeddings=given.embeddings,
        gate=given.gate,
        ungated=given.ungated,
        k=given.k,
    )


def _ice(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.in_context import InContext

    chosen = given.config("ice", IceSettings) or IceSettings()
    return InContext(given.base, embeddings=given.embeddings, k=chosen.k)


def _ike(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.ike import Ike

    chosen = given.config("ike", IkeSettings) or IkeSettings()
    return Ike(
        given.base,
        given.train[:MOST_DEMONSTRATED] or given.demonstrations,
        embeddings=given.embeddings,
        demonstrations=chosen.demonstrations,
        k=chosen.k,
    )


def _ft_l(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.fine_tuning import FineTuningConfig
    from lte_chains.evaluation.editors.ft_l import FtL

    return FtL(given.base, given.config("ft-l", FineTuningConfig, default=FtL.default))


def _ft_m(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.fine_tuning import FineTuningConfig
    from lte_chains.evaluation.editors.ft_m import FtM

    return FtM(given.base, given.config("ft-m", FineTuningConfig))


def _lora(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.lora import Lora, LoraConfig

    return Lora(given.base, given.config("lora", LoraConfig))


def _rome(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.rome import Rome, RomeConfig

    return Rome(given.base, given.config("rome", RomeConfig), texts=given.texts)


def _memit(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.memit import Memit, MemitConfig

    return Memit(given.base, given.config("memit", MemitConfig), texts=given.texts)


def _mend(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.mend import Mend

    return Mend.load(given.base, given.editors("mend"))


def _serac(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.serac import Serac

    return Serac.load(given.base, given.editors("serac"), embeddings=given.embeddings)


def _instruct_edit(given: Resources) -> Editor:
    from lte_chains.evaluation.editors.instruct_edit import InstructEdit

    return InstructEdit.load(given.base, given.editors("instruct-edit"))


METHODS: Mapping[str, Method] = {
    "lte": Method("LTE", _lte, "prompt"),
    "ice": Method("ICE", _ice, "prompt"),
    "ike": Method("IKE", _ike, "prompt"),
    "ft-l": Method("FT-L", _ft_l, "weights"),
    "ft-m": Method("FT-M", _ft_m, "weights"),
    "lora": Method("LoRA", _lora, "weights"),
    "rome": Method("ROME", _rome, "weights"),
    "memit": Method("MEMIT", _memit, "weights"),
    "mend": Method("MEND", _mend, "weights"),
    "serac": Method("SERAC", _serac, "model"),
    "instruct-edit": Method("InstructEdit", _instruct_edit, "weights"),
}
"""Methods by name; LTE first, to which the others are compared."""
