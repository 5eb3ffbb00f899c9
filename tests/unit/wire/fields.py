"""fields: which JSON fields the C source reads and writes, function by function. It knows no C beyond what
clang-format makes of it: a body begins with `{` and ends with `}` in the first column.

A function that takes `const char *field` reads the field that a caller names, one that takes
`const char *key` writes it; keys inside of literals (`"{\\"type\\":..`) count as written.
"""
import re

FUNCTION = re.compile(r"^(?!#|static const)([A-Za-z_][^;{}=]*?\b(\w+)\([^;{}]*\))\n\{\n(.*?)^\}", re.M | re.S)
DECLARED = re.compile(r"^((?:static inline )?\w[^;{}()]*?\b(\w+)\([^;{}()]*\))[;\n]", re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
RAW_KEY = re.compile(r'\\"(\w+)\\":')
CALL = re.compile(r"\b(\w+)\(")
CASES = re.compile(r"((?:\tcase \w+:\n)+)(.*?)\t\tbreak;", re.S)


class Source:
    def __init__(self, root):
        self.files = {}
        self.bodies = {}
        self.by_name = set()  # functions that are told the name of the field
        self.readers, self.writers = set(), set()
        for path in [*sorted((root / "src/json").rglob("*.[ch]")), *sorted((root / "src/wire").rglob("*.[ch]")),
                     *sorted((root / "src/server").rglob("*.c")), root / "src/gateway/model_status.c",
                     root / "src/gateway/proxy_status.c"]:
            self.add_file(path.relative_to(root / "src").as_posix(), path.read_text(encoding="utf-8"))
        self.reads = self.named_by(self.readers)
        self.writes = self.named_by(self.writers)

    def add_file(self, name, text):
        text = self.files[name] = COMMENT.sub("", text)
        for head, function, body in FUNCTION.findall(text):
            self.bodies[name, function] = body
            self.add_head(name, function, head)
        for head, function in DECLARED.findall(text) if name.endswith(".h") else []:
            self.add_head(name, function, head)

    def add_head(self, file, function, head):
        for word, functions in (("field", self.readers), ("key", self.writers)):
            if re.search(rf"const char \*{word}\b", head):
                functions.add(function)
                self.by_name.add((file, function))

    @staticmethod
    def named_by(functions):
        return re.compile(rf'\b(?:{"|".join(sorted(functions))})\((?:[^"();]|\([^()]*\))*?"(\w+)"')

    def find(self, function, file=None):
        """(file, name) of a function: of the same file, else of src/wire, wherever it lies."""
        if (file, function) in self.bodies:
            return file, function
        return next((key for key in self.bodies if key[1] == function and key[0].startswith("wire/")), None)

    def closure(self, file, body, seen):
        """The text and all that it calls, as [(file, text)]."""
        yield body
        for called in set(CALL.findall(body)):
            key = self.find(called, file)
            if key and key not in seen | self.by_name:
                seen.add(key)
                yield from self.closure(key[0], self.bodies[key], seen)

    def key_of(self, function):
        key = self.find(function) or next((key for key in self.bodies if key[1] == function), None)
        if not key:
            raise SystemExit(f"fields.py: there is no function {function} in the sources that are read; "
                             "was it renamed? Then say so in tests/unit/wire/protocol.py")
        return key

    def of_text(self, file, body, writes):
        found = set()
        for text in self.closure(file, body, set()):
            found |= set(self.writes.findall(text)) | set(RAW_KEY.findall(text)) if writes else \
                set(self.reads.findall(text))
        return found

    def read_by(self, function):
        key = self.key_of(function)
        return self.of_text(key[0], self.bodies[key], False)

    def written_by(self, *functions):
        return set().union(*(self.of_text(key[0], self.bodies[key], True) for key in map(self.key_of, functions)))

    def cases(self, function):
        """{label: fields written} of a function that is one switch."""
        key = self.key_of(function)
        return {label: self.of_text(key[0], body, True)
                for labels, body in CASES.findall(self.bodies[key]) for label in re.findall(r"case (\w+):", labels)}

    def names(self, file_pattern, pattern):
        """Rows of a table anywhere in the files that match."""
        return [row for name, text in self.files.items() if re.search(file_pattern, name)
                for row in re.findall(pattern, text)]
