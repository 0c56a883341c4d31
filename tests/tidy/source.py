# SPDX-License-Identifier: Apache-2.0
"""A source file as the gates of tidy.py see it: its lines, and its code without comments."""

import re

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
COMPOUND = re.compile(r"[=,(&]\s*\(\s*(?:const\s+)?(?:struct\s+)?\w+\s*(?:\[\w*\])?\s*\)$|"
                      r"\breturn\s*\(\s*(?:struct\s+)?\w+\s*\)$")


class Source:
    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.splitlines()
        self.is_c = path.endswith((".c", ".h"))
        self.code = blank(text).splitlines() if self.is_c else []

    def folder(self):
        """The folder of lib/ it belongs to ('base', 'ext'), or None outside lib/."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "lib" and len(parts) > 2 else None

    def includes(self):
        """(line number, '<' or '"', header) of each #include that is not in a comment."""
        found = []
        for number, line in enumerate(self.lines, 1):
            match = INCLUDE.match(line)
            if match and self.code[number - 1].lstrip().startswith("#"):
                found.append((number, match.group(1), match.group(2)))
        return found

    def functions(self):
        """Every function defined here, in order."""
        found = []
        for number, line in enumerate(self.code, 1):
            if line != "{":
                continue
            end = number
            while end < len(self.code) and not self.code[end - 1].startswith("}"):
                end += 1
            signature = self.signature_before(number)
            if "(" in signature:
                found.append(Function(signature, number, self.code[number - 1:end]))
        return found

    def signature_before(self, number):
        """The text in front of the '{' on its own line, back to the end of what came before."""
        parts = []
        at = number - 2
        while at >= 0:
            line = self.code[at].rstrip()
            if not line or line.endswith((";", "}", "\\")) or line.startswith("#"):
                break
            parts.insert(0, line.strip())
            at -= 1
        return " ".join(parts)


class Function:
    def __init__(self, signature, line, body):
        self.signature = signature
        self.line = line
        self.body = body

    def name(self):
        match = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", self.signature))
        return match.group(1) if match else "?"

    def parameters(self):
        """The parameters as text. Of a function that returns a function pointer: of that."""
        start = self.signature.find("(")
        depth = 0
        found = [""]
        for char in self.signature[start:]:
            if char == "(":
                depth += 1
                if depth == 1:
                    continue
            elif char == ")":
                depth -= 1
                if depth == 0:
                    break
            if char == "," and depth == 1:
                found.append("")
            else:
                found[-1] += char
        found = [text.strip() for text in found]
        return [] if found in ([""], ["void"]) else found

    def levels(self):
        """How deep blocks are nested in the body; initialisers are not blocks."""
        depth = deepest = 0
        stack = []
        text = "\n".join(self.body)
        for at, char in enumerate(text):
            if char == "{":
                before = text[:at].rstrip()[-1:]
                # "(struct x){" is a value; after "if (x) {" and "else {" a block begins.
                is_block = before not in ("=", ",", "{", "(") and not (
                    before == ")" and COMPOUND.search(text[:at].rstrip()))
                stack.append(is_block)
                depth += is_block
                deepest = max(deepest, depth)
            elif char == "}" and stack:
                depth -= stack.pop()
        return max(0, deepest - 1)


def blank(text):
    """The text with the content of comments, strings and characters replaced by spaces."""
    out = []
    at = 0
    while at < len(text):
        if text.startswith("/*", at):
            end = text.find("*/", at + 2)
            end = len(text) if end < 0 else end + 2
            out.append(re.sub(r"[^\n]", " ", text[at:end]))
            at = end
        elif text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            # Kept recognisable for the gate that wants the other kind of comment.
            out.append("//" + " " * (end - at - 2))
            at = end
        elif text[at] in "\"'":
            quote = text[at]
            end = at + 1
            while end < len(text) and text[end] not in (quote, "\n"):
                end += 2 if text[end] == "\\" else 1
            end = min(end, len(text) - 1)
            out.append(quote + re.sub(r"[^\n]", " ", text[at + 1:end]) + text[end])
            at = end + 1
        else:
            out.append(text[at])
            at += 1
    return "".join(out)
