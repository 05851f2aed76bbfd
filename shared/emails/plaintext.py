"""The text part of an email, from the same Markdown tokens as its HTML part."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode


def plain_text(tokens: Sequence[Token]) -> str:
    """Write Markdown as a person would type it: no emphasis marks, each link's address after its text, nothing wrapped.

    Args:
        tokens: what markdown-it made of a whole text, or of one paragraph.
    """
    return _blocks(SyntaxTreeNode(tokens).children)


def _blocks(nodes: Sequence[SyntaxTreeNode], gap: str = "\n\n") -> str:
    return gap.join(_block(node) for node in nodes)


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "inline":
            return _inline(node)
        case "hr":
            return "* * *"
        case "fence" | "code_block":
            return node.content.rstrip("\n")
        case "blockquote":
            return re.sub(r"(?m)^(?=(.?))", lambda line: "> " if line[1] else ">", _blocks(node.children))
        case "bullet_list" | "ordered_list":
            return _list(node)
    return _blocks(node.children)


def _list(node: SyntaxTreeNode) -> str:
    tight = all(block.hidden for item in node.children for block in item.children if block.type == "paragraph")
    gap = "\n" if tight else "\n\n"
    items = []
    for number, item in enumerate(node.children, int(node.attrs.get("start", 1))):
        marker = f"{number}. " if node.type == "ordered_list" else "- "
        hanging = re.sub(r"\n(?=[^\n])", "\n" + " " * len(marker), _blocks(item.children, gap))
        items.append(f"{marker}{hanging}".rstrip())
    return gap.join(items)


def _inline(node: SyntaxTreeNode) -> str:
    match node.type:
        case "text" | "code_inline":
            return node.content
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "link":
            label = "".join(_inline(child) for child in node.children)
            address = re.sub("^(mailto|tel):", "", str(node.attrs["href"]))
            return address if label in ("", address) else f"{label}: {address}"
    return "".join(_inline(child) for child in node.children)
