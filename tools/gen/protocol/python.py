"""python: the block of clients/python/baton/_errors.py that is made: each error's code under its exit status."""
import re
import textwrap

BLOCK = re.compile(r"^(# protocol: errors[^\n]*\n)(.*?)^(# /protocol)$", re.M | re.S)
COLUMNS = 118


def exit_codes(protocol):
    by_status = {}
    for code, _http, status, _retry, _text in protocol.errors():
        by_status.setdefault(int(status), []).append(code)
    yield "_EXIT_CODES: dict[int, str] = {"
    for status, codes in sorted(by_status.items()):
        lines = textwrap.wrap(" ".join(codes), COLUMNS - 13)
        for at, line in enumerate(lines):
            head = f"    {status}: " if at == 0 else " " * 8
            yield f'{head}"{line}{"" if line is lines[-1] else " "}"{"," if line is lines[-1] else ""}'
    yield "}"


def render(protocol, text):
    return BLOCK.sub(lambda match: match[1] + "\n".join(exit_codes(protocol)) + "\n" + match[3], text)
