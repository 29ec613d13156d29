# Finds what of a C++ source can be broken in a small way, and writes the source with all of these mutants in it, one of
# which the environment chooses when the program runs (mutant.hpp). Needs libclang (pip install libclang).
# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from clang.cindex import Cursor, CursorKind, Index, TranslationUnit, TypeKind

# What stands there -> the helper of mutant.hpp, and what its mutants put there.
COMPARISONS = {
    "<": ("lt", "<=", ">="),
    "<=": ("le", "<", ">"),
    ">": ("gt", ">=", "<="),
    ">=": ("ge", ">", "<"),
    "==": ("eq", "!="),
    "!=": ("ne", "=="),
}
ARITHMETIC = {
    "+": ("add", "-"),
    "-": ("sub", "+"),
    "*": ("mul", "/"),
    "/": ("div", "*"),
    "%": ("mod", "*"),
    "&": ("bit_and", "|"),
    "|": ("bit_or", "&"),
}
ASSIGNMENTS = {
    "+=": ("add_to", "-="),
    "-=": ("sub_from", "+="),
    "*=": ("mul_by", "/="),
    "/=": ("div_by", "*="),
    "|=": ("or_to", "&="),
}
LOGIC = {"&&": ("both", "||"), "||": ("either", "&&")}
OVERLOADED = {f"operator{name}" for name in COMPARISONS}
REMOVABLE = {
    CursorKind.CALL_EXPR,
    CursorKind.COMPOUND_ASSIGNMENT_OPERATOR,
    CursorKind.UNARY_OPERATOR,
    CursorKind.CONTINUE_STMT,
    CursorKind.BREAK_STMT,
    CursorKind.CXX_THROW_EXPR,
}
NUMBER = re.compile(r"(0[xX][0-9a-fA-F']+|[0-9][0-9']*)[uUlLzZ]*|([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")


always = 0  # the group of edits that belong to no mutant


def span(cursor: Cursor) -> tuple[int, int]:
    return cursor.extent.start.offset, cursor.extent.end.offset


@dataclass
class Mutant:
    id: int
    file: str
    line: int
    what: str
    group: int  # of edits, which come and go together


@dataclass
class Edit:
    start: int
    end: int  # equal to start: an insertion
    text: str
    order: int  # among insertions at one place
    group: int


@dataclass
class Source:
    name: str
    text: bytes
    edits: list[Edit] = field(default_factory=list)
    mutants: list[Mutant] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)  # groups that do not compile

    def line_of(self, offset: int) -> int:
        return self.text.count(b"\n", 0, offset) + 1

    def line_at(self, offset: int) -> str:
        end = self.text.find(b"\n", offset)
        return self.text[self.text.rfind(b"\n", 0, offset) + 1 : end].decode().strip()[:90]

    def shown(self, start: int, end: int) -> str:
        return " ".join(self.text[start:end].decode().split())[:90]

    def operator_between(self, first: Cursor, second: Cursor) -> tuple[str, int, int]:
        start, end = span(first)[1], span(second)[0]
        between = self.text[start:end].decode() if start < end else ""
        begin = start + len(between) - len(between.lstrip())
        return between.strip(), begin, begin + len(between.strip())

    def drop(self, lines: set[int]) -> bool:
        """Leaves out the mutants of lines that do not compile, the likeliest first; whether there were any."""
        on_lines = [mutant for mutant in self.mutants if mutant.line in lines and mutant.group not in self.dropped]
        empty = [mutant for mutant in on_lines if mutant.what.startswith("empty: ")]
        self.dropped |= {mutant.group for mutant in empty or on_lines}
        return bool(on_lines)

    def mark(self) -> str:
        """Equal for equal sources with equal mutants."""
        edits = "".join(f"{edit.start} {edit.text} {edit.group};" for edit in self.edits)
        return hashlib.sha256(self.text + edits.encode()).hexdigest()

    def leave_out(self) -> None:
        self.mutants = []
        # What a source makes of a header's constants can no longer be a constant expression either.
        self.edits = [edit for edit in self.edits if edit.group == always and self.name.endswith(".cpp")]

    def mutated(self) -> str:
        """The source with all of its mutants, line by line where it was."""
        out: list[str] = []
        at = 0
        live = [edit for edit in self.edits if edit.group not in self.dropped]
        for edit in sorted(live, key=lambda each: (each.start, each.start != each.end, each.order)):
            out += [self.text[at : edit.start].decode(), edit.text]
            at = edit.end
        return "".join([*out, self.text[at:].decode()])


class Finder:
    """Looks through translation units; a file that several of them include is looked through once."""

    def __init__(self, root: Path, folder: str) -> None:
        self.root, self.folder = root, folder
        self.sources: dict[str, Source] = {}
        self.mutants: list[Mutant] = []
        self.groups = self.edits = 0
        self.names: dict[str, str | None] = {}  # of files, as libclang gives them

    def look_through(self, file: Path, arguments: list[str]) -> None:
        unit = TranslationUnit.from_source(str(file), arguments, index=Index.create())
        errors = [str(found) for found in unit.diagnostics if found.severity >= 3]
        if errors:
            raise RuntimeError(f"{file}: {errors[0]}")
        before = set(self.sources)
        for cursor in unit.cursor.get_children():
            name = self.name_of(cursor)
            if name is None or name in before:
                continue
            if name not in self.sources:
                self.sources[name] = Source(name, (self.root / name).read_bytes())
                self.unfreeze(self.sources[name])
            self.visit(cursor, self.sources[name])

    def name_of(self, cursor: Cursor) -> str | None:
        if cursor.location.file is None:
            return None
        given = cursor.location.file.name
        if given not in self.names:
            path = Path(given).resolve()
            self.names[given] = (
                str(path.relative_to(self.root)) if path.is_relative_to(self.root / self.folder) else None
            )
        return self.names[given]

    def unfreeze(self, source: Source) -> None:
        """What a mutant is to change when the program runs is no constant expression."""
        for word in re.finditer(rb"(?:^|inline |  )(constexpr )([^\n={(]*)[={]", source.text, re.MULTILINE):
            constant = "" if word[2].startswith(b"const ") else "const "
            self.edit(source, *word.span(1), constant, always)

    # --- edits ---------------------------------------------------------------------------------------------------

    def new_group(self) -> int:
        self.groups += 1
        return self.groups

    def edit(self, source: Source, start: int, end: int, text: str, group: int, opens: bool = True) -> None:
        # At one place, what closes comes before what opens; the outer opens first, the inner closes first.
        self.edits += 1
        source.edits.append(Edit(start, end, text, self.edits if opens else self.edits - 10_000_000, group))

    def add(self, source: Source, offset: int, *whats: str) -> tuple[int, int]:
        """The number of the first of some mutants, and their group."""
        group, first = self.new_group(), len(self.mutants)
        for what in whats:
            mutant = Mutant(len(self.mutants), source.name, source.line_of(offset), what, group)
            self.mutants.append(mutant)
            source.mutants.append(mutant)
        return first, group

    def call(self, source: Source, cursor: Cursor, helper: str, group: int) -> None:
        """Puts an expression between the parentheses of a helper."""
        start, end = span(cursor)
        self.edit(source, start, start, f"mutant::{helper}, ", group)
        self.visit(cursor, source)
        self.edit(source, end, end, ")", group, opens=False)

    # --- statements ----------------------------------------------------------------------------------------------

    def statement(self, cursor: Cursor, source: Source) -> None:
        start, end = span(cursor)
        semicolon = source.text.find(b";", end)
        if semicolon < 0 or source.text[end:semicolon].strip():
            return self.visit(cursor, source)
        if cursor.kind == CursorKind.RETURN_STMT:
            return self.returned(cursor, source, semicolon)
        text = source.shown(start, end)
        removable = cursor.kind in REMOVABLE
        removable |= cursor.kind == CursorKind.BINARY_OPERATOR and re.search(r"[^=<>!]=[^=]", text) is not None
        removable |= cursor.kind == CursorKind.UNEXPOSED_EXPR and source.text[:end].rstrip().endswith(b")")
        if not removable or ".reserve(" in text:
            return self.visit(cursor, source)
        first, group = self.add(source, start, f"removed: {text}")
        self.edit(source, start, start, f"{{ if (mutant::runs({first})) ", group)
        self.visit(cursor, source)
        self.edit(source, semicolon + 1, semicolon + 1, " }", group, opens=False)

    def returned(self, cursor: Cursor, source: Source, semicolon: int) -> None:
        children = list(cursor.get_children())
        text = source.shown(span(cursor)[0], semicolon)
        start, end = span(cursor)[0], semicolon + 1
        if children and children[0].type.kind == TypeKind.BOOL:
            return self.truth(children[0], source)
        if text in ("return {}", "return 0", "return nullptr", "return std::nullopt", 'return ""'):
            return self.visit(cursor, source)
        first, group = self.add(source, start, f"removed: {text}" if not children else f"empty: {text}")
        opening = f"{{ if (mutant::on({first})) return {{}}; " if children else f"{{ if (mutant::runs({first})) "
        self.edit(source, start, start, opening, group)
        for child in children:
            self.visit(child, source)
        self.edit(source, end, end, " }", group, opens=False)

    def truth(self, cursor: Cursor, source: Source) -> None:
        """A truth value, negated where no mutant of what is in it does that."""
        inner = cursor
        while inner.kind in (CursorKind.UNEXPOSED_EXPR, CursorKind.PAREN_EXPR) and len(list(inner.get_children())) == 1:
            inner = next(inner.get_children())
        start, end = span(cursor)
        text = source.shown(start, end)
        negated = inner.kind in (CursorKind.BINARY_OPERATOR, CursorKind.CXX_BOOL_LITERAL_EXPR) or text.startswith("!")
        negated |= inner.kind == CursorKind.CALL_EXPR and inner.spelling in OVERLOADED
        if negated or end <= start:
            return self.visit(cursor, source)
        first, group = self.add(source, start, f"negated: {text}")
        self.call(source, cursor, f"condition({first}", group)

    def conditional(self, cursor: Cursor, source: Source) -> None:
        children = list(cursor.get_children())
        declares = bool(children) and children[0].kind == CursorKind.VAR_DECL  # and so needs no other condition
        if children and children[0].kind in (CursorKind.DECL_STMT, CursorKind.VAR_DECL):
            declared = children.pop(0)
            self.visit(declared, source)
            children = [child for child in children if span(child)[0] >= span(declared)[1]]
        if children and not declares:
            self.truth(children.pop(0), source)
        for child in children:
            if cursor.kind == CursorKind.CONDITIONAL_OPERATOR:
                self.visit(child, source)
            else:
                self.statement(child, source)

    # --- expressions ---------------------------------------------------------------------------------------------

    def visit(self, cursor: Cursor, source: Source, in_loop_head: bool = False) -> None:
        kind = cursor.kind
        children = list(cursor.get_children())
        if kind in (CursorKind.STATIC_ASSERT, CursorKind.ENUM_DECL, CursorKind.TEMPLATE_REF, CursorKind.TYPE_REF):
            return
        binary = kind in (CursorKind.BINARY_OPERATOR, CursorKind.COMPOUND_ASSIGNMENT_OPERATOR) and len(children) == 2
        if binary and self.binary(cursor, source, children, in_loop_head):
            return
        if kind == CursorKind.CALL_EXPR and self.called(cursor, source, children):
            return
        if kind == CursorKind.UNARY_OPERATOR and self.unary(cursor, source, children):
            return
        if kind in (CursorKind.INTEGER_LITERAL, CursorKind.FLOATING_LITERAL, CursorKind.CXX_BOOL_LITERAL_EXPR):
            return self.literal(cursor, source)
        if kind in (CursorKind.IF_STMT, CursorKind.WHILE_STMT, CursorKind.CONDITIONAL_OPERATOR):
            return self.conditional(cursor, source)
        if kind == CursorKind.CASE_STMT:
            children = children[1:]
        if kind == CursorKind.VAR_DECL and cursor.type.kind == TypeKind.CONSTANTARRAY:
            children = [child for child in children if child.kind != CursorKind.INTEGER_LITERAL]
        loop = kind in (CursorKind.FOR_STMT, CursorKind.CXX_FOR_RANGE_STMT)
        for i, child in enumerate(children):
            if kind in (CursorKind.COMPOUND_STMT, CursorKind.CASE_STMT, CursorKind.DEFAULT_STMT) or (
                loop and i + 1 == len(children)
            ):
                self.statement(child, source)
            else:
                self.visit(child, source, in_loop_head or loop)

    def joined(
        self, cursor: Cursor, source: Source, operands: list[Cursor], helper: str, group: int, lazy: bool = False
    ) -> None:
        """first OPERATOR second -> helper, first, second)"""
        start, end = span(cursor)
        _, operator_start, operator_end = source.operator_between(*operands)
        opens, closes = ("[&]() -> bool { return static_cast<bool>(", "); }") if lazy else ("", "")
        self.edit(source, start, start, f"mutant::{helper}, {opens}", group)
        self.visit(operands[0], source)
        self.edit(source, operator_start, operator_end, f"{closes}, {opens}", group)
        self.visit(operands[1], source)
        self.edit(source, end, end, f"{closes})", group, opens=False)

    def compared(self, cursor: Cursor, source: Source, operands: list[Cursor], name: str) -> None:
        text = source.shown(*span(cursor))
        whats = [f"{name} -> {other}: {text}" for other in COMPARISONS[name][1:]]
        first, group = self.add(source, span(cursor)[0], *whats)
        self.joined(cursor, source, operands, f"{COMPARISONS[name][0]}({first}", group)

    def binary(self, cursor: Cursor, source: Source, operands: list[Cursor], in_loop_head: bool) -> bool:
        name = source.operator_between(*operands)[0]
        start, text = span(cursor)[0], source.shown(*span(cursor))
        if name in COMPARISONS:
            self.compared(cursor, source, operands, name)
        elif name in ARITHMETIC or (name in ASSIGNMENTS and not in_loop_head):
            helper, other = (ARITHMETIC | ASSIGNMENTS)[name]
            first, group = self.add(source, start, f"{name} -> {other}: {text}")
            self.joined(cursor, source, operands, f"{helper}({first}", group)
        elif name in LOGIC:
            helper, other = LOGIC[name]
            first, group = self.add(
                source, start, f"{name} -> {other}: {text}", f"first alone: {text}", f"second alone: {text}"
            )
            self.joined(cursor, source, operands, f"{helper}({first}", group, lazy=True)
        else:
            return False
        return True

    def called(self, cursor: Cursor, source: Source, children: list[Cursor]) -> bool:
        start, end = span(cursor)
        if cursor.spelling in OVERLOADED and len(children) == 3:
            operands = [children[0], children[2]]
            name = source.operator_between(*operands)[0]
            if name in COMPARISONS:
                self.compared(cursor, source, operands, name)
                return True
        extreme = re.match(rb"std::(min|max)(<[\w:]+>)?\((?!\{)", source.text[start:end])
        if extreme is None or len(list(cursor.get_arguments())) != 2:
            return False
        name, other = ("minimum", "max") if extreme[1] == b"min" else ("maximum", "min")
        first, group = self.add(source, start, f"-> {other}: {source.shown(start, end)}")
        of = extreme[2].decode() if extreme[2] else ""
        self.edit(source, start, start + extreme.end(), f"mutant::{name}{of}({first}, ", group)
        for child in children[1:]:
            self.visit(child, source)
        return True

    def unary(self, cursor: Cursor, source: Source, children: list[Cursor]) -> bool:
        start, end = span(cursor)
        text = source.shown(start, end)
        helper = "negate" if text[:1] == "!" else "minus" if text[:1] == "-" and text[:2] != "--" else ""
        if not helper or len(children) != 1 or (helper == "minus" and NUMBER.fullmatch(text[1:])):
            return False
        first, group = self.add(source, start, f"without {text[0]}: {text}")
        self.edit(source, start, start + 1, f"mutant::{helper}({first}, ", group)
        self.visit(children[0], source)
        self.edit(source, end, end, ")", group, opens=False)
        return True

    def literal(self, cursor: Cursor, source: Source) -> None:
        start = span(cursor)[0]  # the end is not always that of the literal
        word = re.match(rb"[\w.']+((?<=[0-9.][eE])[-+][0-9]+)?", source.text[start:])
        text = word[0].decode() if word else ""
        if text in ("true", "false"):
            helper, whats = "truth", ["false" if text == "true" else "true"]
        elif NUMBER.fullmatch(text) and cursor.kind != CursorKind.CXX_BOOL_LITERAL_EXPR:
            helper, whats = "number", [f"{text} * 1.5"]
            if cursor.kind == CursorKind.INTEGER_LITERAL:
                value = int(text.rstrip("uUlLzZ").replace("'", ""), 0)
                whats = [f"{value + 1}"] + ([f"{value - 1}"] if value > 0 else [])
        else:
            return
        first, group = self.add(source, start, *[f"{text} -> {what} in: {source.line_at(start)}" for what in whats])
        self.edit(source, start, start, f"mutant::{helper}({first}, ", group)
        self.edit(source, start + len(text), start + len(text), ")", group, opens=False)
