"""What stands on a page, as a reader of HTML finds it."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything within, spaces as one."""
        return " ".join(self.content.split())

    @property
    def content(self) -> str:
        """Everything within, as it stands."""
        return "".join(each if isinstance(each, str) else each.content for each in self.children)

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """Find elements of a tag below."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                wanted = all(child.attributes.get(k) == v for k, v in attributes.items())
                found += [child] if child.tag == tag and wanted else []
                found += child.all(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> "Element":
        (element,) = self.all(tag, **attributes)
        return element


_WITHOUT_END = frozenset({"meta", "img", "br", "link", "input"})


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _WITHOUT_END:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"{self.open[-1].tag} is closed by {tag}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """Parse a page, each of whose elements must be closed in its place."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert parser.open == [parser.root]
    return parser.root


def data(page: Element, name: str) -> Any:
    """Read the JSON that a page carries."""
    return json.loads("".join(str(each) for each in page.one("script", id=name).children))


def cells(page: Element) -> list[list[Element]]:
    """Return the measured table's lines, each with its head first."""
    (table,) = (each for each in page.all("table") if each.attributes.get("class") == "cells")
    return [
        [each for each in line.children if isinstance(each, Element)]
        for line in table.one("tbody").all("tr")
    ]
