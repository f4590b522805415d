"""The chain writer itself, against the format's published check values. Needs no machine."""

import unittest

import chain
from cases.support import alternating, sample_files


class Oracle(unittest.TestCase):
    def test_checksums_start_at_zero_and_are_not_inverted(self):
        self.assertEqual(chain.crc32(b"123456789"), 0x2DFD2D88)
        self.assertEqual(chain.crc32c(b"123456789"), 0x58E3FA20)
        self.assertEqual(chain.crc32c(bytes(chain.PAGE)), 0)

    def test_a_written_chain_reads_back(self):
        files = sample_files()
        memory, head = chain.write_chain(files, alternating(0x1000, 0x2000))
        links = chain.walk(memory.__getitem__, head)
        self.assertEqual([link.len for link in links], [169, len(memory) - 2 - 169])
        self.assertTrue(all(link.fits() for link in links))
        read = chain.read_files(memory.__getitem__, head)
        self.assertEqual({name: len(data) for name, data in read.items()}, {file.name: file.size for file in files})
        self.assertEqual(read[b"large.img"][5 * 4096:6 * 4096], files[0].pages[5])

    def test_a_link_without_its_flags_fits_only_with_them_restored(self):
        memory, head = chain.write_chain(sample_files(), iter(range(0x1000, 0x2000)), lru=True)
        link = chain.Link(head, chain.clear_lru(memory[head]))
        self.assertFalse(link.fits())
        self.assertTrue(link.fits(lambda entry: entry.type == chain.DATA))
