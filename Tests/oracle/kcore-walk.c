/* Walks a chain through /proc/kcore and recomputes all checksums: kcore-walk HEAD (a page frame number, hexadecimal).
 * Written from the format's description alone (chain.py has it), and shares nothing with the program under test. Prints a
 * line for each page that does not fit, then "links L pages P bad B"; ends with 1 where B is not 0, with 2 where it cannot
 * look. */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, ENTRIES = 169 };

struct entry {
    uint32_t flags, sum;
    uint64_t frame, index;
};
struct __attribute__((packed)) link {
    uint32_t magic, sum, used, zero;
    uint64_t next;
    struct entry entries[ENTRIES];
    unsigned char rest[PAGE - 24 - 24 * ENTRIES];
};
_Static_assert(sizeof(struct link) == PAGE, "a link is a page");

static int core = -1;
static Elf64_Phdr parts[512];
static int count;

/* Both checksums of the format: reflected, from 0, not inverted. */
static uint32_t checksum(uint32_t polynomial, const unsigned char *bytes, size_t length) {
    uint32_t sum = 0;
    while (length--) {
        sum ^= *bytes++;
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? polynomial : 0);
    }
    return sum;
}

static int open_core(void) {
    Elf64_Ehdr head;
    core = open("/proc/kcore", O_RDONLY);
    if (core < 0 || pread(core, &head, sizeof head, 0) != sizeof head) return -1;
    count = head.e_phnum < 512 ? head.e_phnum : 512;
    ssize_t size = (ssize_t)sizeof *parts * count;
    return pread(core, parts, (size_t)size, (off_t)head.e_phoff) == size ? 0 : -1;
}

static int read_page(uint64_t frame, void *page) {
    uint64_t address = frame * PAGE;
    for (int number = 0; number < count; number++) {
        const Elf64_Phdr *part = parts + number;
        if (part->p_type != PT_LOAD || part->p_paddr == UINT64_MAX || address < part->p_paddr ||
            address - part->p_paddr >= part->p_filesz)
            continue;
        return pread(core, page, PAGE, (off_t)(part->p_offset + (address - part->p_paddr))) == PAGE ? 0 : -1;
    }
    return -1;
}

int main(int arguments, char **words) {
    if (arguments != 2 || open_core()) return 2;
    uint64_t links = 0, pages = 0, bad = 0;
    for (uint64_t frame = strtoull(words[1], NULL, 16); frame != 0 && links < 1000000;) {
        static struct link link;
        static unsigned char page[PAGE];
        if (read_page(frame, &link) || link.magic != 0x7072616d || link.used > ENTRIES ||
            link.sum != checksum(0xedb88320, (unsigned char *)&link + 8, PAGE - 8)) {
            printf("bad link %" PRIx64 "\n", frame);
            bad++;
            break;
        }
        links++;
        for (uint32_t number = 0; number < link.used; number++) {
            const struct entry *entry = link.entries + number;
            pages++;
            if (read_page(entry->frame, page) || checksum(0x82f63b78, page, PAGE) != entry->sum) {
                printf("bad page %" PRIx64 "\n", entry->frame);
                bad++;
            }
        }
        frame = link.next;
    }
    printf("links %" PRIu64 " pages %" PRIu64 " bad %" PRIu64 "\n", links, pages, bad);
    return bad != 0;
}
