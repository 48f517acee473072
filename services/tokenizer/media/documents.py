"""What a document in a prompt costs: text by its tokens, a PDF by its pages.

Anthropic's guide to PDF support: each page is read as a picture and as 1,500 to 3,000 tokens of
text. How many pages there are is told by the file's page objects, where they are not packed; else
by its size.
"""

import binascii
import re
from typing import Final

TOKENS_A_PAGE: Final = 3_000
BOUND_PERMILLE: Final = 1_000
# A page of a scanned or illustrated document is rarely smaller.
_BYTES_A_PAGE: Final = 50_000
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def pdf_tokens(data: str) -> tuple[int, int]:
    """(tokens, bound in permille) of a PDF in base64."""
    try:
        content = binascii.a2b_base64(data.encode("ascii", "ignore"))
    except binascii.Error:
        content = b""
    pages = len(_PAGE.findall(content)) or 1 + len(content) // _BYTES_A_PAGE
    return pages * TOKENS_A_PAGE, BOUND_PERMILLE
