"""What people write for a licence instead of its SPDX identifier: addresses, names, tags of dataset cards."""

from __future__ import annotations

import re

_VERSION = r"(?:-?v?-?(\d(?:\.\d)?))?"
_LATER = r"(?:\+|-or-(?:later|newer)|-or-any-later)"
_ADDRESS = re.compile(r"(?:(?:https?:)?//)?(?:www\.)?((?:[a-z0-9-]+\.)+[a-z]+)/([^?#\s]*)(?:[?#]\S*)?")
_CC = r"creativecommons\.org/"
_GNU = r"gnu\.org/(?:licenses|copyleft)/(?:old-licenses/)?"
_RIGHTS = r"rightsstatements\.org/(?:vocab|page)/"

#: Host and path of an address in small letters -> an identifier or a class; `\1` is what the first bracket matched.
_ADDRESSES = (
    (_CC + r"publicdomain/zero/([\d.]+).*", r"CC0-\1"),
    (_CC + r"publicdomain/mark/([\d.]+).*", r"CC-PDM-\1"),
    (_CC + r"licenses/publicdomain.*", "CC-PDDC"),
    (_CC + r"licenses/([a-z-]+)/([\d.]+)/(?!deed|legalcode)([a-z]{2,4})(?:/.*)?", r"CC-\1-\2-\3"),
    (_CC + r"licenses/([a-z-]+)(?:/([\d.]+)(?:/.*)?)?", r"CC-\1-\2"),
    (r"(?:opensource|spdx|choosealicense)\.(?:org|com)/licenses?/([\w.+-]+?)(?:\.(?:html|json|txt|php))?", r"\1"),
    (r"apache\.org/licenses/license-(\d\.\d).*", r"Apache-\1"),
    (_GNU + r"fdl(?:-(\d\.\d))?.*", r"GFDL-\1"),
    (_GNU + r"([al]?gpl)(?:-(\d\.\d))?.*", r"\1-\2"),
    (r"opendatacommons\.org/licenses/(pddl|odbl)(?:/.*)?", r"\1-1.0"),
    (r"opendatacommons\.org/licenses/by(?:/.*)?", "ODC-By-1.0"),
    (r"mozilla\.org/(?:[a-z]{2}-[a-z]{2}/)?mpl/(\d\.\d).*", r"MPL-\1"),
    (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/(\d).*", r"OGL-UK-\1"),
    (r"unlicense\.org/", "Unlicense"),
    (_RIGHTS + r"(?:inc|noc)-nc.*", "non-commercial"),
    (_RIGHTS + r"noc-us.*", "public-domain"),
    (_RIGHTS + r"inc.*", "proprietary"),
    (r"arxiv\.org/licenses/nonexclusive-distrib.*", "proprietary"),
)

#: Words as `_plain` gives them -> an identifier, one without its version, or a class where no identifier fits.
_WORDS = (
    (r"(?:us-)?public-?domain(?:-dedication)?(?:-us|-in-(?:usa|us|u\.s|united-states.*))?", "public-domain"),
    (r"pd(?:-us|-usa|-old)?|(?:us-|u\.s-)?(?:federal-)?gov(?:ernment)?-works?", "public-domain"),
    (r"(?:cc-)?(?:public-?domain-mark|pdm)(?:-1(?:\.0)?)?", "CC-PDM-1.0"),
    (r"(?:cc|creative-commons)-?(?:0|zero)(?:-?v?1(?:\.0)?)?(?:-universal)?(?:-public-domain-dedication)?", "CC0-1.0"),
    (r"mit|expat|mit-x11|mit-expat", "MIT"),
    (r"(?:asl|apache(?:-software)?)" + _VERSION, r"Apache-\1"),
    (r"(?:new|revised|modified|3-clause)-bsd|bsd-?3|bsd-new", "BSD-3-Clause"),
    (r"(?:simplified|freebsd|2-clause)-bsd|bsd-?2|bsd-simplified|freebsd", "BSD-2-Clause"),
    (r"bsd(?:-style)?", "BSD"),
    (r"(?:gnu-)?([al]?gpl)" + _VERSION + "(?:-only)?", r"\1-\2"),
    (r"(?:gnu-)?([al]?gpl)" + _VERSION + _LATER, r"\1-\2-or-later"),
    (r"(?:gnu-)?affero-general-public" + _VERSION, r"AGPL-\1"),
    (r"(?:gnu-)?(?:lesser|library)-general-public" + _VERSION, r"LGPL-\1"),
    (r"(?:gnu-)?general-public" + _VERSION, r"GPL-\1"),
    (r"(?:gnu-)?(?:g?fdl|free-documentation)" + _VERSION, r"GFDL-\1"),
    (r"lgpl-lr", "LGPLLR"),
    (r"(?:mozilla-public|mpl)" + _VERSION, r"MPL-\1"),
    (r"(?:european-union-public|eupl)" + _VERSION, r"EUPL-\1"),
    (r"(?:eclipse-public|epl)" + _VERSION, r"EPL-\1"),
    (r"(?:odc|open-data-commons)-?(?:by|attribution)(?:-?v?1(?:\.0)?)?", "ODC-By-1.0"),
    (r"(?:odc-|open-data-commons-)?(?:odbl|open-database)(?:-odbl)?(?:-?v?1(?:\.0)?)?", "ODbL-1.0"),
    (r"(?:odc-)?pddl(?:-?v?1(?:\.0)?)?|open-data-commons-public-domain-dedication.*", "PDDL-1.0"),
    (r"(?:uk-)?(?:ogl|open-government)" + _VERSION, r"OGL-UK-\1"),
    (r"boost(?:-software)?(?:-1(?:\.0)?)?", "BSL-1.0"),
    (r"artistic" + _VERSION, r"Artistic-\1"),
    (r"zlib-libpng", "Zlib"),
    (r"psf|python(?:-software-foundation)?", "PSF-2.0"),
    (r"postgres", "PostgreSQL"),
    (r"c-uda", "C-UDA-1.0"),
    (r"openmdw(?:-1\.0)?|apple-ascl", "permissive"),
    (r"apple-amlr|deepfloyd-if|(?:.*-)?research(?:-only|-use|-use-only)?", "non-commercial"),
    (r"(?:academic|educational|research)(?:-.*)?-(?:only|use|use-only|purposes-only)", "non-commercial"),
    (r"(?:for-|.*-)?non-?commercial(?:-research)?(?:-use|-purposes)?(?:-only)?", "non-commercial"),
    (r"(?:.*-)?(?:open)?rail(?:\+\+)?(?:-?m)?(?:-v?[\d.]+)?", "proprietary"),
    (r"(?:meta-)?llama-?[\d.]*(?:-community)?|gemma|qwen|tongyi-qianwen", "proprietary"),
    (r"(?:.*-)?all-rights-reserved|proprietary|commercial|copyrighted|in-copyright", "proprietary"),
)
_COMPILED_ADDRESSES = tuple((re.compile(pattern), meant) for pattern, meant in _ADDRESSES)
_COMPILED_WORDS = tuple((re.compile(pattern), meant) for pattern, meant in _WORDS)

_CREATIVE_COMMONS = re.compile(
    r"(?:(?:cc|creative-commons)-?(?:by|attribution)|attribution)"
    r"(?P<nc>-?nc|-non-?commercial)?(?P<nd>-?nd|-no-?deriv(?:ative)?s?(?:-works)?)?(?P<sa>-?sa|-share-?alike)?"
    + _VERSION
    + r"(?P<port>-[a-z]{2,3})?(?:-(?:international|unported|generic|deed|public))*"
)
_FILLERS = re.compile(r"(?:^|-)(?:the|licen[cs]ed?|under|version)(?=-|$)")


def in_spdx(words: str) -> str | None:
    """Return the identifier that somebody probably means, one without its version, or a class; None if unclear.

    Examples
    --------
    >>> in_spdx("https://creativecommons.org/licenses/by-sa/4.0/deed.de")
    'CC-BY-SA-4.0'
    >>> in_spdx("Creative Commons Attribution-NonCommercial 4.0 International")
    'CC-BY-NC-4.0'
    >>> in_spdx("Public domain in the USA.")
    'public-domain'
    """
    address = _ADDRESS.fullmatch(words.strip().lower())
    if address:
        return _first(_COMPILED_ADDRESSES, f"{address[1]}/{address[2].rstrip('/')}")
    words = plain(words)
    return _creative_commons(words) or _first(_COMPILED_WORDS, words)


def plain(words: str) -> str:
    """Return words in small letters, with a hyphen between them and without "the", "licence" and "version".

    Examples
    --------
    >>> plain("The Apache License, Version 2.0")
    'apache-2.0'
    """
    if words.endswith("-") or words.count("(") != words.count(")"):  # cut off: what would have followed may matter
        return ""
    return _FILLERS.sub("", re.sub(r"[^a-z0-9.+]+", "-", words.lower()).strip("-.")).strip("-.")


def _creative_commons(words: str) -> str | None:
    found = _CREATIVE_COMMONS.fullmatch(words)
    if found is None:
        return None
    identifier = "CC-BY" + "-NC" * bool(found["nc"]) + ("-ND" if found["nd"] else "-SA" if found["sa"] else "")
    return _tidied(f"{identifier}-{found[4] or ''}") + (found["port"] or "").upper()


def _first(rules: tuple[tuple[re.Pattern[str], str], ...], words: str) -> str | None:
    for pattern, meant in rules:
        found = pattern.fullmatch(words)
        if found:
            identifier = _tidied(found.expand(meant))
            return identifier.upper() if identifier.startswith("CC-") else identifier
    return None


def _tidied(identifier: str) -> str:
    """Return an identifier with `2.0` for the version `2`, and without the hyphen before a version that is missing."""
    return re.sub(r"-(\d)(?=-or-later$|$)", r"-\1.0", re.sub(r"-+(?=-or-later$|$)", "", identifier))
