"""The words of a state. A blob is rows sorted by rowkey, each once; a row is `[rowkey, n_words, fixed slots..., sparse arrays...]`.

`n_words` counts the whole row; a sparse array is its entry count, then its entries in ascending order. Equal states are equal bytes.
"""

from __future__ import annotations

from typing import Final

ADD64: Final = 0  # 1 word: sum of ones and zeros, which stays at FULL
ADD128: Final = 1  # 2 words (low, high), two's complement: sum of the values
SQUARE192: Final = 2  # 3 words (lowest first): sum of the squared values
TALLY: Final = 3  # k words: word i counts the values that are i
MIN: Final = 4  # 1 word
MAX: Final = 5  # 1 word
FIRST: Final = 6  # 3 words (time, position, value) of the least (time, position)
LAST: Final = 7  # 3 words of the greatest (time, position)
LASTK: Final = 8  # 3k words: the k greatest, newest first
ADDMAP: Final = 9  # sparse: id << 48 | count, counts add
MAXMAP: Final = 10  # sparse: id << 48 | rank, the greater rank stays
SPARSE: Final = ADDMAP  # ops from here on are sparse
MOMENTS: Final = (FIRST, LAST, LASTK)  # ops that keep when their values were

HIGHEST: Final = 2**63 - 1  # what MIN holds, and the time of FIRST, when there was no value
LOWEST: Final = -(2**63)  # what MAX holds, and the time of LAST, when there was no value
COUNT_BITS: Final = 48  # of an entry of a sparse array
COUNT_MASK: Final = 2**48 - 1

# Nothing that a state sums can overflow. A stored value is at most 2**62, so fewer than 2**63 of
# them have a sum
# below 2**125 and squares below 2**187. A count that would pass its width stays at its greatest
# value, which absorbs
# whatever is added to it, and answers null.
FULL: Final = 2**63 - 1  # a count that no longer counts
FULL_ENTRY: Final = COUNT_MASK  # the same in a sparse array

MOMENT: Final = 3  # words of a moment of FIRST, LAST and LASTK
MOMENT_TIME: Final = 0
MOMENT_POSITION: Final = 1
MOMENT_VALUE: Final = 2

ROW_KEY: Final = 0  # words of a row before its slots
ROW_WORDS: Final = 1
HEADER: Final = 2
HOP_SHIFT: Final = 40  # rowkey = hop * 2**40 + tile
HALF_HOP: Final = 2**39

IDS: Final = 2**12  # ids that an entry may have: buckets, or registers

# The distinct count: HyperLogLog registers, chosen by the first 12 bits of a value's MurmurHash64A.
REGISTERS: Final = 2**12
REST: Final = 64 - 12  # bits of the hash in which leading zeros are counted; a rank is 1..REST + 1
MURMUR64_SEED: Final = 0x7477696E  # "twin"
MURMUR64_MULTIPLIER: Final = 0xC6A4A7935BD1E995

# What a merge or a read can find wrong; 0 is fine.
FINE: Final = 0
MALFORMED: Final = 1


def rowkey(hop: int, tile: int) -> int:
    """The first word of a row; tiles before 1970 are negative."""
    return (hop << HOP_SHIFT) + tile


def hop_and_tile(key: int) -> tuple[int, int]:
    """The hop and tile of a rowkey."""
    hop = (key + HALF_HOP) >> HOP_SHIFT
    return hop, key - (hop << HOP_SHIFT)
