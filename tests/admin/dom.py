"""A page as a tree of elements, held to be well formed."""

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr"}


class Element:
    def __init__(self, name, attributes, parent=None):
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.children = []

    def __getitem__(self, attribute):
        return self.attributes.get(attribute)

    @property
    def text(self):
        """All text within, in one line."""
        parts = [one if isinstance(one, str) else one.text for one in self.children]
        return " ".join(" ".join(parts).split())

    def all(self, name, **attributes):
        """The elements within of this name, with these attributes."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                wanted = {key.rstrip("_").replace("_", "-"): v for key, v in attributes.items()}
                if child.name == name and wanted.items() <= child.attributes.items():
                    found.append(child)
                found += child.all(name, **attributes)
        return found

    def one(self, name, **attributes):
        """The only one of these."""
        (found,) = self.all(name, **attributes)
        return found

    def everything(self):
        """All elements within."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.everything()


class _Builder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = self.current = Element("", {})

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        element = Element(tag, dict(attrs), self.current)
        self.current.children.append(element)
        if tag not in VOID:
            self.current = element

    def handle_endtag(self, tag):
        assert self.current.name == tag, (self.current.name, tag)
        self.current = self.current.parent

    def handle_data(self, data):
        self.current.children.append(data)


def parse(page):
    """The tree of a page; an element that is not closed in its place is an error."""
    builder = _Builder()
    builder.feed(page.decode("utf-8"))
    builder.close()
    assert builder.current is builder.root
    return builder.root
