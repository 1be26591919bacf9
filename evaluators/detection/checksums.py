"""Check digits: whether a number or a token can be what its form says. Everything takes the value without separators."""

import ipaddress
import string
import zlib
from collections import Counter

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_OUR_ALPHABET = string.ascii_letters + string.digits

# Lengths per country of the IBAN registry (ISO 13616, swift.com/standards/data-standards/iban).
_IBANS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29
ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20
LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29
PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
YE30
"""
_IBAN_LENGTHS = {each[:2]: int(each[2:]) for each in _IBANS.split()}
_NOT_ISSUED_SSNS = {"078051120", "219099999"}  # printed in wallets and leaflets, so never anybody's
_NEVER_NINO = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
# Calling codes that ITU-T E.164 assigns, as prefixes; a number outside them reaches nobody.
_CODES = """
1 7 20 211 212 213 216 218 22 23 24 25 26 27 290 291 297 298 299 30 31 32 33 34 35 36 370 371 372 373 374 375 376
377 378 379 380 381 382 383 385 386 387 389 39 40 41 420 421 423 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58
59 60 61 62 63 64 65 66 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800
808 81 82 84 850 852 853 855 856 86 870 878 880 881 882 883 886 888 90 91 92 93 94 95 960 961 962 963 964 965 966
967 968 970 971 972 973 974 975 976 977 98 992 993 994 995 996 998
"""
_CALLING_CODES = tuple(_CODES.split())


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = sum(int(d) for d in digits[::-2])
    return (total + sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])) % 10 == 0


def is_card(digits: str) -> bool:
    """A payment card number: an issuer's range with a length that the issuer uses, and the Luhn digit."""
    return len(digits) in _card_lengths(digits) and luhn(digits)


def _card_lengths(digits: str) -> tuple[int, ...]:
    four = int(digits[:4])
    two = four // 100
    if digits[0] == "4":  # Visa
        return (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # Mastercard
        return (16,)
    if two in (34, 37):  # American Express
        return (15,)
    if two in (36, 38) or 3000 <= four <= 3059:  # Diners Club
        return (14,)
    if four == 6011 or two == 65 or 6440 <= four <= 6499 or 3528 <= four <= 3589:  # Discover, JCB
        return (16,)
    if two == 62:  # UnionPay
        return (16, 17, 18, 19)
    if four in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763):  # Maestro
        return tuple(range(12, 20))
    return ()


def iban_length(country: str) -> int:
    """How many characters an IBAN of the country has, 0 when the country has none."""
    return _IBAN_LENGTHS.get(country, 0)


def is_iban(value: str) -> bool:
    """ISO 7064 MOD 97-10 over the rearranged number; `value` in capitals."""
    return (
        len(value) == iban_length(value[:2]) and int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1
    )


def is_ssn(digits: str) -> bool:
    """A US social security number that can have been issued (ssa.gov, POMS RM 10201.035)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    excluded = area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000"
    return not excluded and digits not in _NOT_ISSUED_SSNS


def is_nino(value: str) -> bool:
    """A UK national insurance number; its letters are restricted, it has no check digit (HMRC, NIM39110)."""
    return value[:2] not in _NEVER_NINO


def is_steuer_id(digits: str) -> bool:
    """The German tax number of a person: ISO 7064 MOD 11,10, and one digit of the first ten occurs twice or thrice."""
    counts = Counter(digits[:10])
    if digits[0] == "0" or max(counts.values()) > 3 or sum(c > 1 for c in counts.values()) != 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def has_calling_code(digits: str) -> bool:
    """Whether an international number, without its plus, begins with an assigned calling code."""
    return digits.startswith(_CALLING_CODES)


def is_personal_ip(text: str) -> bool:
    """An IPv4 or IPv6 address that can belong to somebody: not loopback, multicast, reserved, unspecified or link-local."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    special = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    return not special and not (address.version == 4 and address.is_reserved)


def is_github_token(body: str) -> bool:
    """The 36 characters after `ghp_`: the last six are the CRC-32 of the others in base 62, most significant first."""
    number, digits = zlib.crc32(body[:-6].encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits == body[-6:]


def is_our_key(identifier: str, secret: str) -> bool:
    """A key that this service made: the last six characters of its secret are a checksum over the rest and the id."""
    number, digits = zlib.crc32((identifier + secret[:-6]).encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits += _OUR_ALPHABET[rest]
    return digits == secret[-6:]
