"""A pram chain written and read from the format's description alone: the oracle of the boot and the command tests.

Nothing here is shared with the program under test. The layout (x86-64, little endian, 4096-byte pages):

    link   0 u32 magic "marp"   4 u32 crc32 of bytes 8..4095   8 u32 entries in use   12 u32 zero   16 u64 next link
          24 entry[169]: u32 flags (1 META, 2 DATA, 0x100 LRU), u32 crc32c of the page, u64 pfn, u64 index
    META   0 u64 size   8 u32 mode   12 u32 name length   16 name; the rest of the page is whatever lay there before

A 32-bit kernel aligns u64 to 4 bytes: there the next link is at 12 and the entries begin at 20.
Both checksums start at 0 and are not inverted, neither before nor after.
"""

import struct
import zlib

PAGE = 4096
MAGIC = 0x7072616D
META, DATA, LRU = 1, 2, 0x100
ENTRIES_PER_LINK = 169

LINK_HEADER = struct.Struct("<IIIIQ")
LINK_HEADER_I386 = struct.Struct("<IIIQ")
X86_64, I386 = "x86-64", "i386"
ENTRY = struct.Struct("<IIQQ")
FILE_IMAGE = struct.Struct("<QII")


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _crc32c_table()


def crc32(data):
    """The kernel's crc32(0, data): zlib inverts before and after, the kernel does neither."""
    return zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def crc32c(data):
    """The kernel's crc32c(0, data)."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc


class File:
    """A file to be put into a chain. Only the pages in `pages` are stored, so holes are possible."""

    def __init__(self, name, data=b"", mode=0o100644, size=None, pages=None):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.mode = mode
        self.size = len(data) if size is None else size
        if pages is None:
            pages = {at // PAGE: data[at:at + PAGE] for at in range(0, len(data), PAGE)}
        self.pages = {index: page.ljust(PAGE, b"\0") for index, page in pages.items()}

    def meta_page(self):
        image = FILE_IMAGE.pack(self.size, self.mode, len(self.name)) + self.name
        # The kernel never clears this page: something must lie there, so that nobody takes it for zeros.
        return image + (b"stale memory " * (PAGE // 8))[:PAGE - len(image)]


class Entry:
    """One entry of a link, as it lies in memory."""

    def __init__(self, flags, csum, pfn, index):
        self.flags, self.csum, self.pfn, self.index = flags, csum, pfn, index
        self.type = flags & 0xFF


class Link:
    """One link page taken apart. Nothing is checked while decoding: `fits` says whether the checksum does."""

    def __init__(self, pfn, page):
        self.pfn, self.page = pfn, page
        self.magic, self.csum, self.len, _, self.next = LINK_HEADER.unpack_from(page)
        count = min(self.len, ENTRIES_PER_LINK)
        self.entries = [Entry(*ENTRY.unpack_from(page, LINK_HEADER.size + ENTRY.size * at)) for at in range(count)]

    def fits(self, restored=lambda entry: False):
        """Whether the checksum fits, with the LRU flag given back to those entries `restored` says yes to."""
        page = bytearray(self.page)
        for at, entry in enumerate(self.entries):
            if restored(entry):
                struct.pack_into("<I", page, LINK_HEADER.size + ENTRY.size * at, entry.flags | LRU)
        return self.magic == MAGIC and self.csum == crc32(bytes(page[8:]))


def write_chain(files, pages, per_link=ENTRIES_PER_LINK, lru=False, layout=X86_64):
    """Lays `files` out on the page frames that `pages` yields, each link's page before those of its entries.

    Returns ({pfn: page}, PFN of the first link). With `lru` DATA entries are as the kernel that saved them in place
    left them (flag set, checksummed so); the kernel that boots then clears the flag: see `clear_lru`.
    """
    pages = iter(pages)
    records = []
    for file in files:
        records.append((META, 0, file.meta_page()))
        for index in sorted(file.pages):
            records.append((DATA | (LRU if lru else 0), index, file.pages[index]))

    memory, links = {}, []
    for start in range(0, len(records), per_link):
        link, entries = next(pages), []
        for flags, index, page in records[start:start + per_link]:
            pfn = next(pages)
            memory[pfn] = page
            entries.append(ENTRY.pack(flags, crc32c(page), pfn, index))
        links.append((link, entries))

    following = 0
    for link, entries in reversed(links):
        memory[link] = link_page(entries, following, layout=layout)
        following = link
    return memory, links[0][0]


def link_page(entries, following=0, length=None, layout=X86_64, slack=b""):
    """A link with a fitting checksum. `entries` are packed entries; `length` may lie about how many there are."""
    length = len(entries) if length is None else length
    if layout == X86_64:
        body = LINK_HEADER.pack(0, 0, length, 0, following)[8:]
    else:
        body = LINK_HEADER_I386.pack(0, 0, length, following)[8:]
    body = (body + b"".join(entries)).ljust(PAGE - 8 - len(slack), b"\0") + slack
    return sealed(struct.pack("<II", MAGIC, 0) + body)


def sealed(page):
    """A link page with its checksum re-made: what somebody leaves who edits a link and knows the format."""
    return page[:4] + struct.pack("<I", crc32(page[8:])) + page[8:]


def clear_lru(page):
    """What pram_reserve() does to a link page: the flag goes, the checksum stays as it was."""
    page = bytearray(page)
    for at in range(Link(0, bytes(page)).len):
        place = LINK_HEADER.size + ENTRY.size * at
        flags, = struct.unpack_from("<I", page, place)
        struct.pack_into("<I", page, place, flags & ~LRU)
    return bytes(page)


def walk(read_page, head, limit=10000):
    """The links from `head` on, read through `read_page(pfn)`. Stops at a loop or at a page that is no link."""
    links, seen = [], set()
    while head and head not in seen and len(links) < limit:
        seen.add(head)
        link = Link(head, read_page(head))
        if link.magic != MAGIC:
            break
        links.append(link)
        head = link.next
    return links


def read_files(read_page, head, strict=False):
    """{name: contents} of a chain whose every page fits its checksum; raises ValueError where one does not.

    `strict`: every link fits as it lies, too, and the last one says that it is the last. After a kernel has cleared LRU
    flags neither needs to hold.
    """
    files, current = {}, None
    links = walk(read_page, head)
    if strict:
        for link in links:
            if not link.fits():
                raise ValueError(f"pfn {link.pfn:x}: link does not fit its checksum")
        if not links or links[-1].next != 0:
            raise ValueError("the chain has no end")
    for link in links:
        for entry in link.entries:
            page = read_page(entry.pfn)
            if crc32c(page) != entry.csum:
                raise ValueError(f"pfn {entry.pfn:x}: page does not fit its checksum")
            if entry.type == META:
                size, _, length = FILE_IMAGE.unpack_from(page)
                current = bytearray(size)
                files[page[16:16 + length]] = current
            else:
                start = entry.index * PAGE
                end = min(start + PAGE, len(current))
                current[start:end] = page[:end - start]
    return {name: bytes(data) for name, data in files.items()}


def runs(memory):
    """The pages of {pfn: page} as [(address, bytes)], adjacent pages joined."""
    joined = []
    for pfn in sorted(memory):
        if joined and joined[-1][0] + len(joined[-1][1]) == pfn * PAGE:
            joined[-1][1].extend(memory[pfn])
        else:
            joined.append((pfn * PAGE, bytearray(memory[pfn])))
    return [(address, bytes(data)) for address, data in joined]
