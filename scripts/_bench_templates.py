"""Text that people write from templates: the same sentences around other names and numbers."""

from __future__ import annotations

from random import Random

_NAMES = "Ashford Belmont Clayton Dunmore Eastbrook Fairview Glenwood Harmon Irving Jasper Kenton Lowell".split()
_STATES = "Ohio Indiana Iowa Kansas Nebraska Missouri Illinois Texas".split()
_PEOPLE = "Smith Jones Miller Davis Wilson Moore Taylor Clark Lewis Young".split()

#: In these, N is a number, P a percentage, D an amount, T a town, S a state, M a person. In the first no run of words
#: between two of them is long; the second is mostly what is always said.
_CENSUS = """T is a city in T County, S, United States. The population was N at the 2000 census. According to the
United States Census Bureau, the city has a total area of N square miles, of which, N square miles of it is land and N
square miles of it (P) is water. As of the census of 2000, there were N people, N households, and N families residing in
the city. The population density was N people per square mile. There were N housing units at an average density of N per
square mile. The racial makeup of the city was P White, P African American, P Native American, P Asian, P Pacific
Islander, P from other races, and P from two or more races. Hispanic or Latino of any race were P of the population.
There were N households out of which P had children under the age of 18 living with them, P were married couples living
together, P had a female householder with no husband present, and P were non-families. P of all households were made up
of individuals and P had someone living alone who was 65 years of age or older. The average household size was N and the
average family size was N. In the city the population was spread out with P under the age of 18, P from 18 to 24, P from
25 to 44, P from 45 to 64, and P who were 65 years of age or older. The median age was N years. For every 100 females
there were N males. For every 100 females age 18 and over, there were N males. The median income for a household in the
city was D, and the median income for a family was D. Males had a median income of D versus D for females. The per
capita income for the city was D. About P of families and P of the population were below the poverty line, including P
of those under age 18 and P of those age 65 or over."""
_NOTICE = """NOTICE TO CREDITORS. In the T County Court of S, Probate Division. Estate of M, deceased, case number N.
The administration of the estate of M, deceased, is pending in the Circuit Court for T County, the address of which is N
T Street. The names and addresses of the personal representative and the personal representative's attorney are set
forth below. All creditors of the decedent and other persons having claims or demands against the decedent's estate on
whom a copy of this notice is required to be served must file their claims with this court on or before the later of
three months after the time of the first publication of this notice or thirty days after the date of service of a copy
of this notice on them. All claims not filed within the time periods set forth above will be forever barred. Personal
representative: M. Attorney: M, N T Avenue."""
TEMPLATES = {"census articles": _CENSUS, "court notices": _NOTICE}


def filled(template: str, chance: Random) -> str:
    """Return a template with names and numbers of chance."""
    made = {
        "N": lambda: f"{chance.randrange(100, 90_000):,}",
        "P": lambda: f"{chance.uniform(0.2, 60):.1f}%",
        "D": lambda: f"${chance.randrange(20_000, 60_000):,}",
        "T": lambda: chance.choice(_NAMES),
        "S": lambda: chance.choice(_STATES),
        "M": lambda: f"{chance.choice(_NAMES)} {chance.choice(_PEOPLE)}",
    }
    words = []
    for word in template.split():
        slot = word.strip("().,")
        words.append(word.replace(slot, made[slot]()) if slot in made else word)
    return " ".join(words)
