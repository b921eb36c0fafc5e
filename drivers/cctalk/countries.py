"""Which currency a coin's or a bill's country code means.

Pure. Codes are ISO 3166's two letters, with `EU` for the euro and the exceptions that the
specification lists. A country that is not here is a currency we do not know: its coins are refused.

Source: ccTalk Generic Specification 4.7, part 3 (country codes); ISO 4217.
"""

from __future__ import annotations

from typing import Final

_LIST: Final = (
    "AEAED ALALL AMAMD ARARS AUAUD AWAWG AAAWG AZAZN BABAM BBBBD BDBDT BGBGN BHBHD BNBND BOBOB "
    "BRBRL BSBSD BWBWP BYBYN CACAD CHCHF CLCLP CNCNY COCOP CRCRC CZCZK DKDKK DODOP DZDZD ECUSD "
    "EDUSD EGEGP EUEUR FJFJD GBGBP GEGEL GHGHS GIGIP GTGTQ HKHKD HNHNL HRHRK HUHUF IDIDR ILILS "
    "ININR ISISK JMJMD JOJOD JPJPY KEKES KRKRW KWKWD KZKZT LKLKR MAMAD MDMDL MKMKD MOMOP MTMTL "
    "MUMUR MXMXN MYMYR NANAD NGNGN NINIO NONOK NZNZD OMOMR PAPAB PEPEN PHPHP PKPKR PLPLN PYPYG "
    "QAQAR RORON RSRSD SXRSD CSRSD RURUB SASAR SESEK SGSGD THTHB TNTND TRTRY TTTTD TWTWD TZTZS "
    "UAUAH UGUGX USUSD UYUYU VNVND XOXOF ZAZAR ZMZMW"
)
_CURRENCIES: Final = {entry[:2]: entry[2:] for entry in _LIST.split()}


def currency_of(country: str) -> str | None:
    """The currency's ISO 4217 letters; None for a country we do not know."""
    return _CURRENCIES.get(country)


def countries_of(currency: str) -> tuple[str, ...]:
    """The country codes under which a currency's coins and bills go."""
    return tuple(country for country, letters in _CURRENCIES.items() if letters == currency)
