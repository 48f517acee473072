"""A fixed corpus on which a faster engine must count what tiktoken counts, before it serves."""

import random
from collections.abc import Iterable, Iterator
from typing import Final

from services.tokenizer.engines.port import EncoderPanicked, Engine
from services.tokenizer.safe_cuts import BLANKS

# Any number will do as long as it stays the same.
_SEED: Final = 4096
# Texts a call to the encoder; each code point in the places where the patterns look at it.
_POINTS_STRIDE: Final = 31
_POINTS_A_TEXT: Final = 64
_TOKENS_STRIDE: Final = 7
_TOKENS_A_TEXT: Final = 128

_SENTENCES: Final = (
    "The parcel hasn't arrived; I'd like my $1,299.00 back - they're sure it's DELIVERED.",
    "DON'T, Don'T, we'LL, I'vE, it’s, l'été, rock'n'roll, 'twas, O'Neill's, can'ts, 'S'S 'ſ",
    "Où est mon colis ? Größe, naïve “quotes”… ÉCOLE, İstanbul, ıssız, ǅungla, ŒUVRE",
    "Đơn hàng của tôi chưa đến. Zażółć gęślą jaźń. Příliš žluťoučký kůň. Árvíztűrő tükörfúrógép",
    "Посылка не пришла, и я хотел бы получить деньги обратно. Їжак, ґанок. Ђорђе.",
    "Πού είναι το δέμα μου; ΑΒΓΔ ἄνθρωπος",
    "لم يصل الطرد بعد، وأريد استرداد ١٢٣ دينارًا. محصول نرسیده است",
    "החבילה עדיין לא הגיעה, שָׁלוֹם",
    "मेरा पार्सल नहीं आया है। ०१२३ আমার পার্সেল ਪੰਜਾਬੀ ગુજરાતી",
    "என் பொதி வரவில்லை. నా పార్సెల్ రాలేదు. ನನ್ನ ಪಾರ್ಸೆಲ್ എന്റെ පාර්සලය",
    "พัสดุของฉันยังมาไม่ถึง ๑๒๓ ພັດສະດຸ កញ្ចប់ ပါဆယ်",
    "包裹还没有到,我想要退款。請盡快處理這個問題,謝謝。㐀𠀀𪜀",
    "荷物がまだ届いていません。ﾊﾝｶｸｶﾅとーーー。ゟヿ々〆",
    "소포가 아직 도착하지 않았습니다. ᄀᄁᄂ",
    "ამანათი არ მოვიდა ᲐᲑ. Ծանրոցը չի հասել։ ፓኬጁ አልደረሰም። ᏣᎳᎩ ꮳꮃꭹ ᠮᠣᠩᠭᠣᠯ བོད་སྐད",
    "👍🏽🎉😀👨‍👩‍👧‍👦🏳️‍🌈🇩🇪🇺🇳1️⃣#️⃣☠️❤️‍🔥🧑🏿‍🚀👩🏻‍❤️‍💋‍👨🏼 :-) ¯\\_(ツ)_/¯",
    "def f(x: int) -> int:\n    return x**2 if x != 0 else -1  # ok\n\n\nclass A(B):\n\tpass\r\n",
    'for (let i=0;i<n;++i){a[i]+=b?.c??"d";}// TODO\n#include <stdio.h>',
    "SELECT * FROM t WHERE a='b' AND c<>d;",
    '{"id":"9f8b1c2d-0a3e","n":[1,2.50,-3e10,null,true],"s":"a\\u00e9\\n","nested":{"k":{}}}',
    "https://example.com/a/b?c=d&e=%20f#g user.name+tag@example.co.uk C:\\Temp\\x.txt ../../etc/",
    "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5 0xdeadbeef 1234567890123 3.14159 1,000,000 ½²³Ⅷ①",
    "# Title\n\n- item\n* item\n\n| a | b |\n|---|---|\n\n```py\nx = 1\n```\n\n> quote\n\n---",
    "***bold*** _it_ ~~no~~ [a](b)  \n1. x\n   - y",
    "<|endoftext|><|endofprompt|><|fim_prefix|> a<|fim_middle|>b <|fim_suffix|><|im_start|>user",
    "<|start|>system<|message|>x<|end|><|return|><|call|><|channel|><|constrain|><|reserved_200000|>",
    "!!!??? ... ——— ---- ==== //// \\\\\\\\ \"\"\" ''' ((([[[{{{ }}}]]])))!\n\n/x ,\n,a;\n;",
    "a\ud800b \udc00 \ud83d\ude00 \udfff\ud800",
    "\x00\x01\x1b[31m\x7f\x80\x9f\ufeff\ufffd\uffff\u200b\u200c\u200d\u2060\xad\ue000\U0010ffff",
    "e\u0301e\u0301 q\u0323\u0307 Z\u0351\u036b\u0343\u032a\u0302\u0348 \u1100\u1161\u11a8",
)
_LINE_ENDS: Final = ("\n", "\r", "\r\n", "\n\r\n", " \n", "\n ", "\t\n", "\x1c", "\x85\n")


class EngineDiffers(Exception):
    """An engine does not count what tiktoken counts."""

    def __init__(self, name: str, place: int, found: object, expected: int) -> None:
        super().__init__(
            f"{name}: text {place} of the self-check has {expected} tokens, not {found}"
        )


def check(name: str, engine: Engine, reference: Engine, tokens: Iterable[bytes]) -> None:
    """Compares both on the corpus and on every few of the vocabulary's own `tokens`.

    CPU: about 0.3 s. Raises: EngineDiffers.
    """
    for place, text in enumerate(corpus(tokens)):
        expected = reference.count(text)
        try:
            found: object = engine.count(text)
        except (EncoderPanicked, TypeError, ValueError) as error:
            found = type(error).__name__
        if found != expected:
            raise EngineDiffers(name, place, found, expected)


def corpus(tokens: Iterable[bytes]) -> Iterator[str]:
    """The texts: scripts, emoji, code, special tokens, blanks, code points, hostile ones."""
    yield ""
    yield from _SENTENCES
    yield "\n".join(_SENTENCES)
    yield from (text.upper() for text in _SENTENCES[:16])
    yield from _blanks()
    yield from _points()
    yield from _hostile()
    yield from _own(tokens)


def _blanks() -> Iterator[str]:
    for blank in (*BLANKS, *_LINE_ENDS):
        for length in (1, 2, 3, 4, 17, 300):
            run = blank * length
            yield f"{run}a{run}1{run}!{run}\n{run}a"
            yield f"a{run}"
    yield "".join(f"{blank}{end}{blank}{blank}x" for blank in BLANKS for end in _LINE_ENDS)


def _points() -> Iterator[str]:
    points = [
        *range(0x20, 0x3000),
        *range(0x3000, 0x30000, _POINTS_STRIDE),
        *range(0x30000, 0x110000, 4099),
    ]
    for start in range(0, len(points), _POINTS_A_TEXT):
        chars = [
            chr(point)
            for point in points[start : start + _POINTS_A_TEXT]
            if not 0xD800 <= point <= 0xDFFF
        ]
        yield "".join(f"a{char}b 1{char}2 {char}{char}A, '{char}\n" for char in chars)


def _hostile() -> Iterator[str]:
    chance = random.Random(_SEED)  # noqa: S311  # a fixed text, not a secret
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield "".join(chance.choices(letters, k=4000))
    yield "".join(chance.choices(letters + letters.upper() + "0123456789+/", k=4000))
    yield "".join(chance.choices("0123456789", k=1000))
    for char in ("a", "A", "é", "中", "😀", "\u0301", "\u200d", "!", "=", "1", "'", "a'"):
        yield char * 3000
    for _ in range(200):
        yield "".join(chance.choices(" \t\r\n\u3000aA1'!/.,-é中。😀sSlL\u0301\u200dǅ²ª", k=60))


def _own(tokens: Iterable[bytes]) -> Iterator[str]:
    """What the vocabulary itself is made of, a few at a time, with a blank before each."""
    few: list[str] = []
    for place, token in enumerate(tokens):
        if place % _TOKENS_STRIDE == 0:
            few.append(token.decode("utf-8", "replace"))
            if len(few) == _TOKENS_A_TEXT:
                yield " ".join(few)
                few = []
    yield " ".join(few)
