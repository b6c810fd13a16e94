"""Every closed vocabulary with its words, so that clients keep no copies."""

import inspect
import re

from pydantic import BaseModel, ConfigDict, Field

from app.inventory.columns import AreaStandard
from app.kernel import terms


class TermWords(BaseModel):
    """One value, and what people call it."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(description="what is written in requests and answers", examples=["pilot"])
    zh: str = Field(description="中文", examples=["中试"])
    en: str = Field(description="English", examples=["Pilot scale"])


class TermList(BaseModel):
    """A closed vocabulary, in its own order."""

    model_config = ConfigDict(extra="forbid")

    about: str = Field(
        description="what the values say", examples=["The five spaces of the relay."]
    )
    values: list[TermWords]


class Vocabulary(BaseModel):
    """Every closed vocabulary, by the name under which its values appear."""

    model_config = ConfigDict(extra="forbid")

    vocabularies: dict[str, TermList]


def vocabulary() -> Vocabulary:
    """All vocabularies of the field, and the standards of areas.

    >>> vocabulary().vocabularies["unit_type"].values[2].zh
    '中试'
    """
    known: list[type[terms.Term]] = [
        member
        for member in vars(terms).values()
        if inspect.isclass(member) and issubclass(member, terms.Term) and member is not terms.Term
    ]
    known.append(AreaStandard)
    return Vocabulary(vocabularies={_snake(one.__name__): _listed(one) for one in known})


def _listed(known: type[terms.Term]) -> TermList:
    about = (inspect.getdoc(known) or "").partition("\n")[0]
    values = [TermWords(value=term.value, zh=term.zh, en=term.en) for term in known]
    return TermList(about=about, values=values)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
